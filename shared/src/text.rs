//! Text that comes from files, made fit to be shown: what could not be seen or would change its surroundings is escaped.

/// Text for `bytes`: characters as they are, except those that would not be seen, and bytes that are none.
///
/// A joiner inside a word, an emoji or another cluster is part of it and stays as it is; alone, or where it joins nothing,
/// it is escaped like the rest.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.contains(is_invisible) {
            let chars: Vec<char> = valid.chars().collect();
            let stands = joiners(&chars);
            for (c, stands) in chars.into_iter().zip(stands) {
                match c {
                    '\n' => text.push_str("\\n"),
                    '\t' => text.push_str("\\t"),
                    '\r' => text.push_str("\\r"),
                    c if is_invisible(c) && !stands => text.extend(c.escape_unicode()),
                    c => text.push(c),
                }
            }
        } else {
            text.push_str(valid);
        }
        text.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
    text
}

/// Which characters are joiners that stand inside a cluster: a variation selector after a character, ZWJ and ZWNJ between
/// two, and tags after a black flag. Runs of them hide text, and stand nowhere.
pub(crate) fn joiners(chars: &[char]) -> Vec<bool> {
    const BLACK_FLAG: char = '\u{1f3f4}';
    let is_visible = |c: char| !c.is_whitespace() && !is_invisible(c);
    let mut stands = vec![false; chars.len()];
    for i in 1..chars.len() {
        let (c, before, before_stands) = (chars[i], chars[i - 1], stands[i - 1]);
        stands[i] = if is_between(c) {
            let follows = chars.get(i + 1).is_some_and(|after| is_visible(*after));
            follows && (is_visible(before) || (is_selector(before) && before_stands))
        } else if is_selector(c) {
            is_visible(before)
        } else {
            is_tag(c) && (before == BLACK_FLAG || (is_tag(before) && before_stands))
        };
    }
    stands
}

/// ZWNJ and ZWJ, which stand between two characters.
pub(crate) fn is_between(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007f}')
}

/// Control, zero-width, direction and other characters that leave no mark. The space is visible by its width.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
