//! Text for a terminal: sentences and lists in lines that fit into the narrowest one that is written for. Knows nothing of what they say.

/// The columns of the narrowest terminal that is written for.
pub const WIDTH: usize = 80;

/// A sentence behind `head`, folded at its blanks; the lines below its first are indented by so many columns. Ends with a line break.
pub fn paragraph(head: &str, indent: usize, sentence: &str) -> String {
    folded(head, indent, sentence.split(' '))
}

/// The same for a list, whose items are never torn apart.
pub fn list(head: &str, indent: usize, items: &[String]) -> String {
    let last = items.len().saturating_sub(1);
    let items: Vec<String> =
        items.iter().enumerate().map(|(place, item)| format!("{item}{}", if place == last { "" } else { "," })).collect();
    folded(head, indent, items.iter().map(String::as_str))
}

/// A piece that is longer than a line gets one to itself: names and digests are copied, and must stay whole.
fn folded<'a>(head: &str, indent: usize, pieces: impl Iterator<Item = &'a str>) -> String {
    let width = |text: &str| text.chars().count();
    let mut out = head.to_owned();
    let mut column = width(head);
    let mut begins = true;
    for piece in pieces {
        let blank = usize::from(!begins);
        // Two blanks in a row, which set columns apart, or one at an end.
        if piece.is_empty() {
            out.extend(std::iter::repeat_n(' ', blank));
            column += blank;
            continue;
        }
        if indent < column && WIDTH < column + blank + width(piece) {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.extend(std::iter::repeat_n(' ', blank));
            column += blank;
        }
        out.push_str(piece);
        column += width(piece);
        begins = false;
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_words_stay_whole() {
        let sentence = ["word"; 20].join(" ");
        assert_eq!(paragraph("guard: ", 7, &sentence), format!("guard: {}\n       {}\n", ["word"; 14].join(" "), ["word"; 6].join(" ")));
        // Exactly as wide as a line.
        let full = ["word"; 16].join(" ");
        assert_eq!(paragraph("", 2, &full).lines().count(), 1);
        assert_eq!(paragraph(" ", 2, &format!("{full} ")), format!(" {full}\n"));
        assert_eq!(paragraph("  ", 2, &full).lines().count(), 2);
        assert_eq!(paragraph("run 1  ", 4, "at noon  done "), "run 1  at noon  done\n");
        let long = "l".repeat(100);
        assert_eq!(paragraph("a: ", 2, &format!("b {long} c")), format!("a: b\n  {long}\n  c\n"));
        assert_eq!(paragraph("guard: ", 7, &long), format!("guard: {long}\n"), "a line of its own would be no better");
        assert_eq!(paragraph("a long head: ", 4, &long), format!("a long head:\n    {long}\n"));
        assert_eq!(paragraph("head", 4, ""), "head\n");
    }

    #[test]
    fn items_of_a_list_stay_whole() {
        let items = ["a name".to_owned(), "another name ".repeat(6).trim_end().to_owned(), "b".to_owned()];
        assert_eq!(list("  ", 2, &items), format!("  a name,\n  {},\n  b\n", items[1]));
    }
}
