//! "Did you mean": the known word nearest to what was written. Knows words only.

/// The nearest of the words, when it is near enough to be a typing error: a third of its letters, at most three.
pub(super) fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = snake_case(written);
    let near = |word: &'a str| {
        let (written, known) = (written.replace('-', "_"), word.replace('-', "_"));
        // The first word of several: `managed` for `managed_identity`.
        let begun = known.strip_prefix(&written).is_some_and(|rest| rest.starts_with('_'));
        let distance = if begun { 1 } else { distance(&written, &known) };
        (distance <= (word.chars().count() / 3).clamp(1, 3)).then_some((distance, word))
    };
    words.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// `olderThan`, `OlderThan` and `older-than` as `older_than`.
pub(super) fn snake_case(written: &str) -> String {
    let mut snake = String::new();
    for character in written.chars() {
        if character.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake.replace([' ', '-'], "_")
}

/// The number of letters to insert, drop, replace or swap with a neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(64).collect(), right.chars().take(64).collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    for (index, cell) in rows[0].iter_mut().enumerate() {
        *cell = index;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if 1 < i && 1 < j && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_other_spellings_find_their_word() {
        let words = ["older_than", "except_last", "tags", "dry-run", "enforce"];
        for (written, expected) in [
            ("older_then", Some("older_than")),
            ("olderThan", Some("older_than")),
            ("exceptlast", Some("except_last")),
            ("tasg", Some("tags")),
            ("dry_run", Some("dry-run")),
            ("dryrun", Some("dry-run")),
            ("older", Some("older_than")),
            ("newer", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, words), expected, "{written}");
        }
    }
}
