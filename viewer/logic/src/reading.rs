//! How the reader wants examples and plots to be shown, for every feature alike.

/// How much of its row an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// What the layout says.
    #[default]
    Layout,
    /// As many tokens on either side of the bold one.
    Tokens(u32),
    /// The whole row.
    Row,
}

impl Reach {
    /// What the page offers.
    pub const OFFERED: [Self; 4] = [Self::Tokens(5), Self::Tokens(10), Self::Tokens(20), Self::Row];

    /// As it is shown and kept.
    pub fn name(self) -> String {
        match self {
            Self::Layout => "layout".to_owned(),
            Self::Tokens(n) => n.to_string(),
            Self::Row => "row".to_owned(),
        }
    }

    /// The reach of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::OFFERED.into_iter().find(|reach| reach.name() == name)
    }

    /// Tokens before and after the bold one, where the layout shows `layout`; `None` = the whole row.
    pub fn buffer(self, layout: Option<(u32, u32)>) -> Option<(u32, u32)> {
        match self {
            Self::Layout => layout,
            Self::Tokens(n) => Some((n, n)),
            Self::Row => None,
        }
    }

    /// The reach that shows the same as the layout, where one is offered.
    pub fn of_buffer(buffer: Option<(u32, u32)>) -> Option<Self> {
        Self::OFFERED.into_iter().find(|reach| reach.buffer(None) == buffer)
    }
}

/// Whether `wanted` shows tokens that windows of `stored` tokens lack.
pub fn is_wider(wanted: Option<(u32, u32)>, stored: Option<(u32, u32)>) -> bool {
    match (wanted, stored) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(stored)) => wanted.0 > stored.0 || wanted.1 > stored.1,
    }
}

/// What the reader chose once for every feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// How much of their rows examples show.
    pub reach: Reach,
    /// Whether histograms have a logarithmic axis of counts.
    pub log_counts: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offered_reach_has_a_name_and_the_one_that_a_layout_shows_is_known() {
        for reach in Reach::OFFERED {
            assert_eq!(Reach::from_name(&reach.name()), Some(reach));
        }
        assert_eq!(Reach::of_buffer(Some((5, 5))), Some(Reach::Tokens(5)));
        assert_eq!(Reach::of_buffer(None), Some(Reach::Row));
        assert_eq!(Reach::of_buffer(Some((10, 5))), None);
    }

    #[test]
    fn rows_are_needed_only_for_what_windows_lack() {
        let stored = Some((5, 5));
        assert!(is_wider(None, stored) && is_wider(Some((5, 10)), stored));
        assert!(!is_wider(Some((5, 5)), stored) && !is_wider(Some((2, 5)), stored) && !is_wider(None, None));
    }
}
