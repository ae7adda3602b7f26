//! What the names of files and folders say: several publishers put layer, width or `k` nowhere else.

use std::path::{Component, Path};

/// The parts of an absolute path, the folder of a hub's cache taken apart into owner and name.
#[derive(Debug)]
pub struct Origin {
    parts: Vec<String>,
}

impl Origin {
    /// A relative path counts from the current folder. Links are not followed: in a hub's cache they lead away from
    /// the names.
    pub fn of(path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut parts: Vec<String> = Vec::new();
        for component in absolute.components() {
            match component {
                Component::ParentDir => drop(parts.pop()),
                Component::Normal(part) => {
                    let part = part.to_string_lossy();
                    match part.strip_prefix("models--") {
                        Some(repository) => parts.extend(repository.split("--").map(str::to_owned)),
                        None => parts.push(part.into_owned()),
                    }
                }
                _ => {}
            }
        }
        Self { parts }
    }

    /// The parts, the innermost first.
    pub fn inner_first(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().rev().map(String::as_str)
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The number after `prefix` in the innermost part that has one: `layer_12` in `layer_12_width_16k`.
    pub fn number_after(&self, prefix: &str) -> Option<u32> {
        self.inner_first().find_map(|part| {
            let digits = part.split_once(prefix)?.1;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hubs_cache_tells_owner_and_name() {
        let origin =
            Origin::of(Path::new("/c/hub/models--google--gemma-scope-2b-pt-res/snapshots/ab/layer_3"));
        let parts: Vec<&str> = origin.inner_first().collect();
        assert_eq!(parts[..4], ["layer_3", "ab", "snapshots", "gemma-scope-2b-pt-res"]);
        assert_eq!(origin.number_after("layer_"), Some(3));
    }

    #[test]
    fn relative_paths_count_from_the_current_folder() {
        let here = std::env::current_dir().unwrap();
        let folder = here.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(Origin::of(Path::new(".")).name(), folder);
        assert_eq!(Origin::of(Path::new("x/../y")).name(), "y");
        assert_eq!(Origin::of(Path::new("..")).name(), here.parent().unwrap().file_name().unwrap());
    }
}
