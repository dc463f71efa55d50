//! What can be proven about two globs without a name to try them on. Every answer is `true` only when it is certain; what cannot be proven
//! is `false`, so that a warning is never a guess.

use crate::policy::Pattern;

const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '\\'];

/// Whether everything that `inner` matches is matched by `outer`, too.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    if outer == inner || outer == "**" {
        return true;
    }
    let Some(head) = outer.strip_suffix('*') else { return is_literal(inner) && matches(outer, inner) };
    if is_literal(inner) {
        return matches(outer, inner);
    }
    // `team-a/**` covers whatever begins with `team-a/`; `pr-*` only what goes on without a slash.
    let (head, across) = head.strip_suffix('*').map_or((head, false), |head| (head, true));
    let rest = inner.strip_prefix(head).filter(|_| is_literal(head));
    rest.is_some_and(|rest| across || (!rest.contains(['/', '[', '{', '\\']) && !rest.contains("**")))
}

/// Whether nothing is matched by both.
pub(super) fn are_disjoint(left: &str, right: &str) -> bool {
    if is_literal(left) || is_literal(right) {
        return if is_literal(left) { !matches(right, left) } else { !matches(left, right) };
    }
    let (left_head, right_head) = (head(left), head(right));
    let (left_tail, right_tail) = (tail(left), tail(right));
    let heads = left_head.starts_with(right_head) || right_head.starts_with(left_head);
    let tails = left_tail.ends_with(right_tail) || right_tail.ends_with(left_tail);
    !heads || !tails
}

/// Whether no version such as `1.2.3` or `v1.2.3` is matched.
pub(super) fn matches_no_version(glob: &str) -> bool {
    let mut head = head(glob).chars();
    match head.next() {
        None => false,
        Some('v') => head.next().is_some_and(|second| !second.is_ascii_digit()),
        Some(first) => !first.is_ascii_digit(),
    }
}

fn is_literal(glob: &str) -> bool {
    !glob.contains(SPECIAL)
}

fn matches(glob: &str, name: &str) -> bool {
    Pattern::parse(glob).is_ok_and(|pattern| pattern.matches(name))
}

/// What every match begins with.
fn head(glob: &str) -> &str {
    glob.split(SPECIAL).next().unwrap_or_default()
}

/// What every match ends with.
fn tail(glob: &str) -> &str {
    if glob.contains(['[', '{', '\\']) { "" } else { glob.rsplit(SPECIAL).next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_covered() {
        let cases = [
            ("pr-*", "pr-*", true),
            ("pr-*", "pr-1", true),
            ("pr-*", "pr-x-*", true),
            ("pr-*", "p*", false),
            ("*", "pr-*", true),
            ("*", "a/*", false),
            ("**", "a/**", true),
            ("team-a/**", "team-a/web/*", true),
            ("team-a/**", "team-a*/web", false),
            ("team-a/*", "team-a/web*", true),
            ("team-a/*", "team-a/**", false),
            ("team-a/*", "team-a/{x,y/z}", false),
            ("team-?/**", "team-a/**", false),
            ("{a,b}-*", "a-1", true),
        ];
        for (outer, inner, expected) in cases {
            assert_eq!(covers(outer, inner), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn only_what_is_certain_is_disjoint() {
        let cases = [
            ("pr-*", "main-*", true),
            ("pr-*", "pr-1", false),
            ("pr-*", "main", true),
            ("pr-*", "*-golden", false),
            ("*-silver", "*-golden", true),
            ("p*", "pr-*", false),
            ("{pr,main}-*", "main-*", false),
            ("*", "x", false),
        ];
        for (left, right, expected) in cases {
            assert_eq!(are_disjoint(left, right), expected, "{left} {right}");
            assert_eq!(are_disjoint(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn versions_begin_with_a_digit_or_v_and_a_digit() {
        for (glob, expected) in [("pr-*", true), ("v*", false), ("v1*", false), ("vx*", true), ("1.*", false), ("*", false), ("?.x", false)]
        {
            assert_eq!(matches_no_version(glob), expected, "{glob}");
        }
    }
}
