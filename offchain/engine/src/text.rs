//! Stop strings: text is held back while it could be the beginning of one.

/// Passes text on up to the first stop string.
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

/// What can be passed on.
#[derive(Debug, PartialEq)]
pub(crate) struct Passed {
    pub text: String,
    /// A stop string came: nothing after `text` belongs to the answer.
    pub stopped: bool,
}

impl StopFilter {
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    pub fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        // The one that was complete first, so that the result does not depend on how the text is cut into tokens.
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        if let Some((_, at)) = found.min() {
            self.held.truncate(at);
            return Passed { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        Passed { text: release(&mut self.held, keep), stopped: false }
    }

    /// The answer has ended without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Takes all of `held` but its last `keep` bytes, which begin at a character.
pub(crate) fn release(held: &mut String, keep: usize) -> String {
    let kept = held.split_off(held.len().saturating_sub(keep));
    std::mem::replace(held, kept)
}

/// The length of the longest end of `text` with which `pattern` begins, the whole pattern aside.
pub(crate) fn overlap(text: &str, pattern: &str) -> usize {
    let ends = pattern.char_indices().map(|(at, _)| at).rev();
    ends.filter(|at| *at > 0).find(|at| pattern.get(..*at).is_some_and(|p| text.ends_with(p))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    /// Feeds the text in pieces of `size` characters.
    fn run(text: &str, stops: &[&str], size: usize) -> (String, bool) {
        let mut filter = StopFilter::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let chars: Vec<char> = text.chars().collect();
        let mut out = String::new();
        for piece in chars.chunks(size) {
            let passed = filter.push(&piece.iter().collect::<String>());
            out += &passed.text;
            if passed.stopped {
                return (out, true);
            }
        }
        (out + &filter.finish(), false)
    }

    #[test]
    fn text_ends_before_the_first_stop_string_however_it_arrives() {
        let cases: [(&str, &[&str], &str, bool); 9] = [
            ("one two three", &["two"], "one ", true),
            ("one two three", &["four"], "one two three", false),
            ("aab", &["ab"], "a", true),
            ("abcabd", &["abd"], "abc", true),
            ("xabc", &["abc", "b"], "xa", true),
            ("ends with a beginnin", &["ginning"], "ends with a beginnin", false),
            ("日本語です", &["語"], "日本", true),
            ("日本", &["日x"], "日本", false),
            ("", &["x"], "", false),
        ];
        for (text, stops, expected, stopped) in cases {
            for size in 1..=text.chars().count().max(1) {
                assert_eq!(run(text, stops, size), (expected.to_owned(), stopped), "{text:?} {stops:?} by {size}");
            }
        }
    }

    #[test]
    fn only_what_could_become_a_stop_string_is_held() {
        let mut filter = StopFilter::new(vec!["<end>".into()]);
        assert_eq!(filter.push("text <e"), Passed { text: "text ".into(), stopped: false });
        assert_eq!(filter.push("x"), Passed { text: "<ex".into(), stopped: false });
        assert_eq!(StopFilter::new(vec![]).push("all").text, "all");
    }
}
