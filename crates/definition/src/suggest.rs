//! "did you mean ...?"

/// `did you mean "topic"?` for a word that is nearly one of the candidates.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|nearest| format!("did you mean \"{nearest}\"?"))
}

/// The same, or else the whole list, introduced by `intro`.
pub fn did_you_mean_or_list<'a>(
    word: &str,
    intro: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    did_you_mean(word, candidates.clone()).unwrap_or_else(|| {
        let all: Vec<_> = candidates.into_iter().collect();
        format!("{intro} {}", all.join(", "))
    })
}

/// The candidate with the fewest edits, if these are few for the word's length. Case does not
/// count.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A distance costs time by the product of the lengths, and a long word is no slip of a finger.
    if word.len() > 80 {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        for (word, expected) in [
            ("topc", Some("topic")),
            ("TOPIC", Some("topic")),
            ("gruop", Some("group")),
            ("partition", Some("partitions")),
            ("retries", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, ["topic", "group", "partitions"]), expected, "{word}");
        }
    }
}
