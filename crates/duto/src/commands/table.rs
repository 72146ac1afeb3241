//! Rows of text as aligned columns.

/// The rows under their headings, numbers to the right. A line a row, no trailing blanks.
pub fn align(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let is_number = |column: usize| {
        !rows.is_empty()
            && rows.iter().all(|row| {
                row.get(column).is_some_and(|cell| {
                    cell.starts_with(|first: char| first.is_ascii_digit() || first == '-')
                })
            })
    };
    let numbers: Vec<bool> = (0..headings.len()).map(is_number).collect();
    let line = |cells: &[&str]| {
        let padded: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let width = widths[column];
                if numbers[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(headings);
    for row in rows {
        text.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::align;

    #[test]
    fn numbers_stand_to_the_right_and_texts_to_the_left() {
        let rows =
            vec![vec!["a".to_owned(), "5".to_owned()], vec!["long".to_owned(), "1200".to_owned()]];
        assert_eq!(align(&["name", "lag"], &rows), "name   lag\na        5\nlong  1200\n");
    }
}
