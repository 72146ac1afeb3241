//! Places in the pipeline file, so that every later problem can point at the line a person wrote.

/// A half-open range of bytes in the pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// SQL as it stands in the file. A block scalar loses its indentation when it is read, so every
/// line remembers where in the file it began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlText {
    pub text: String,
    /// The whole value in the file.
    pub span: Span,
    /// For each line of `text`, the byte offset in the file of its first character.
    pub line_starts: Vec<usize>,
    /// Where a line of `text` is not the file's own bytes: escapes, folded line breaks, environment
    /// variables. In ascending order.
    pub detours: Vec<Detour>,
}

/// A run of a text that stands otherwise in the file: `"` for `\"`, a space for a folded line
/// break, a value for `${NAME}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detour {
    /// Bytes of the text before the run.
    pub at: usize,
    /// Bytes of the run in the text.
    pub length: usize,
    /// What stands in the file instead.
    pub span: Span,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl SqlText {
    /// The place in the file of the bytes `start..end` of `text`.
    pub fn span_of(&self, start: usize, end: usize) -> Span {
        let first = self.place(start, |detour, _| detour.start);
        let last =
            self.place(end, |detour, at_start| if at_start { detour.start } else { detour.end });
        Span { start: first, end: last.max(first) }
    }

    /// The part `start..end` as SQL of its own: what stands before becomes blank, so that places
    /// stay as they are.
    pub fn part(&self, start: usize, end: usize) -> Self {
        let blank = |character: char| {
            if character == '\n' { "\n".to_owned() } else { " ".repeat(character.len_utf8()) }
        };
        let before: String =
            self.text.get(..start).unwrap_or_default().chars().map(blank).collect();
        let text = before + self.text.get(start..end).unwrap_or_default();
        Self {
            text,
            span: self.span_of(start, end),
            line_starts: self.line_starts.clone(),
            detours: self.detours.clone(),
        }
    }

    /// `within` chooses the edge of a detour in which the offset lies; its second argument says
    /// whether it lies at its very start.
    fn place(&self, offset: usize, within: impl Fn(Span, bool) -> usize) -> usize {
        let offset = offset.min(self.text.len());
        let following = self.detours.partition_point(|detour| detour.at <= offset);
        let detour = following.checked_sub(1).and_then(|index| self.detours.get(index));
        if let Some(detour) = detour.filter(|detour| offset < detour.at + detour.length) {
            return within(detour.span, offset == detour.at);
        }
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        let line_start =
            before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        match detour {
            Some(detour) if detour.at + detour.length >= line_start => {
                detour.span.end + (offset - detour.at - detour.length)
            }
            _ => self
                .line_starts
                .get(line)
                .map_or(self.span.start, |first| first + (offset - line_start)),
        }
    }
}
