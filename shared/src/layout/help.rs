//! A layout as a tree for the terminal, with defaults and what differs from them.

use std::fmt::Write as _;

use super::{Layout, Setting};

impl Layout {
    /// The tree of columns, components and options; an option that differs from its default is marked with `*`.
    pub fn help(&self) -> String {
        let mut text = String::new();
        let mut line = |args: std::fmt::Arguments<'_>| {
            let written = writeln!(text, "{args}");
            debug_assert!(written.is_ok(), "a string takes any text");
        };
        let px = |px: Option<u32>| px.map_or("as needed".to_owned(), |px| format!("{px} px"));
        line(format_args!("layout, height {}", px(self.height)));
        for (i, column) in self.columns.iter().enumerate() {
            line(format_args!("├─ column {}, width {}", i + 1, px(column.width)));
            for component in &column.components {
                line(format_args!("│  ├─ {}", component.name()));
                let defaults = component.default_options().settings();
                for ((option, now), (_, default)) in component.settings().into_iter().zip(defaults) {
                    let mark = if now == default { ' ' } else { '*' };
                    let was = if now == default {
                        String::new()
                    } else {
                        format!(" (default {})", default.to_json())
                    };
                    let range = match now {
                        Setting::Number(_) => format!(", {} to {}", option.range.start(), option.range.end()),
                        _ => String::new(),
                    };
                    line(format_args!(
                        "│  │ {mark} {:<28} {:<17} {}{range}{was}",
                        option.name,
                        now.to_json(),
                        option.about
                    ));
                }
            }
        }
        text
    }
}
