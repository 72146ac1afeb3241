//! A document read against the declared record: objects and lists. Single values are in
//! `scalar.rs`.

use super::column::{Cells, Column, Columns};
use super::fault::{Fault, Outcome};
use super::json::{Mark, Scanner};
use duto_definition::TextCleaning;

/// One document on its way into columns.
pub struct Reader<'a> {
    pub(super) scanner: Scanner<'a>,
    pub(super) cleaning: TextCleaning,
    /// Texts with escapes are resolved here, and texts that had a NUL are cleaned there; kept from
    /// record to record.
    pub(super) scratch: &'a mut Scratch,
    problems: Problems,
}

/// Room for texts that cannot be taken as they stand.
#[derive(Debug, Default)]
pub struct Scratch {
    pub resolved: String,
    pub cleaned: String,
}

/// What to do with a value's fault.
#[derive(Debug)]
pub enum Problems {
    /// The first one ends the record.
    First,
    /// All are collected, as long as the document can be read.
    All(Vec<Fault>),
}

impl<'a> Reader<'a> {
    pub fn new(
        scanner: Scanner<'a>,
        cleaning: TextCleaning,
        scratch: &'a mut Scratch,
        problems: Problems,
    ) -> Self {
        Self { scanner, cleaning, scratch, problems }
    }

    /// Reads the whole document as row `row` of these columns; after an error the row is
    /// half-written.
    pub fn read_document(&mut self, columns: &mut Columns, row: usize) -> Outcome<()> {
        self.scanner.skip_space();
        let mark = self.scanner.mark();
        let outcome = match self.scanner.peek() {
            Some(b'{') => self.read_object(columns, row),
            _ => Err(self.mismatch(mark, "an object")),
        };
        if outcome.is_err() || self.collected() > 0 {
            self.settle(outcome, mark, 0, |fault| fault)?;
        }
        self.scanner.end()
    }

    /// The faults that were collected.
    pub fn into_problems(self) -> Vec<Fault> {
        match self.problems {
            Problems::First => Vec::new(),
            Problems::All(problems) => problems,
        }
    }

    pub(super) fn read_object(&mut self, columns: &mut Columns, row: usize) -> Outcome<()> {
        let mut place = columns.before_first();
        let mut more = !self.scanner.enter(b'}')?;
        while more {
            self.scanner.skip_space();
            let found = self.read_key(columns, place)?;
            match found.and_then(|found| Some((found, columns.columns.get_mut(found)?))) {
                Some((found, column)) => {
                    place = found;
                    self.read_field(column, row)?;
                }
                None => self.scanner.skip_value()?,
            }
            more = self.scanner.more(b'}')?;
        }
        for column in columns.columns.iter_mut().filter(|column| column.rows() == row) {
            self.miss(column)?;
        }
        Ok(())
    }

    pub(super) fn read_elements(&mut self, element: &mut Column) -> Outcome<usize> {
        let mut count = 0;
        let mut more = !self.scanner.enter(b']')?;
        while more {
            self.scanner.skip_space();
            let (mark, before, row) = (self.scanner.mark(), self.collected(), element.rows());
            let outcome = self.read_value(element);
            if outcome.is_err() || self.collected() > before {
                self.settle_cell(outcome, mark, before, element, row, |fault| {
                    fault.in_element(count)
                })?;
            }
            count += 1;
            more = self.scanner.more(b']')?;
        }
        Ok(count)
    }

    /// Reads a key and the colon behind it; answers which column it names.
    #[inline]
    fn read_key(&mut self, columns: &mut Columns, place: usize) -> Outcome<Option<usize>> {
        let found = match columns.expected(place) {
            Some((next, column)) if self.scanner.take_all(&column.quoted) => Some(next),
            _ => {
                columns.find_next(place, self.scanner.string()?.resolve(&mut self.scratch.resolved))
            }
        };
        self.scanner.colon()?;
        Ok(found)
    }

    fn read_field(&mut self, column: &mut Column, row: usize) -> Outcome<()> {
        let (mark, before) = (self.scanner.mark(), self.collected());
        let outcome = if column.rows() > row {
            Err(Fault::value("duplicate_key", "is given more than once"))
        } else {
            self.read_value(column)
        };
        if outcome.is_err() || self.collected() > before {
            let name = column.name.clone();
            self.settle_cell(outcome, mark, before, column, row, |fault| fault.in_field(&name))?;
        }
        Ok(())
    }

    /// Reads one value into one more row.
    fn read_value(&mut self, column: &mut Column) -> Outcome<()> {
        if self.scanner.peek() == Some(b'n') {
            self.scanner.literal("null")?;
            if column.required {
                return Err(Fault::value("null", "must not be null"));
            }
            column.push_null();
            return Ok(());
        }
        let row = column.rows();
        let mark = self.scanner.mark();
        match (&mut column.cells, self.scanner.peek()) {
            (Cells::Object(columns), Some(b'{')) => self.read_object(columns, row)?,
            (Cells::Object(_), _) => return Err(self.mismatch(mark, "an object")),
            (Cells::List { ends, element, lengths }, Some(b'[')) => {
                let count = self.read_elements(element)?;
                lengths.check(count, "elements")?;
                ends.push(element.rows())?;
            }
            (Cells::List { .. }, _) => return Err(self.mismatch(mark, "a list")),
            (cells, Some(b'"')) if column.coerced => self.read_coerced(cells)?,
            (cells, _) => self.read_scalar(cells)?,
        }
        column.close_row();
        Ok(())
    }

    /// The declared key did not come.
    fn miss(&mut self, column: &mut Column) -> Outcome<()> {
        if column.required {
            let fault = Fault::value("missing", "is missing").in_field(&column.name);
            match &mut self.problems {
                Problems::First => return Err(fault),
                Problems::All(problems) => problems.push(*fault),
            }
        }
        column.push_null();
        Ok(())
    }

    /// As [`Self::settle`], and leaves exactly one row more than `row` if reading goes on.
    #[cold]
    fn settle_cell(
        &mut self,
        outcome: Outcome<()>,
        mark: Mark,
        before: usize,
        column: &mut Column,
        row: usize,
        place: impl Fn(Box<Fault>) -> Box<Fault>,
    ) -> Outcome<()> {
        let failed = outcome.is_err();
        self.settle(outcome, mark, before, place)?;
        if failed {
            column.truncate(row);
            column.push_null();
        }
        Ok(())
    }

    /// Tells the faults below a value where they are. With [`Problems::All`] a value's own fault
    /// joins them and reading goes on behind the value, unless its grammar is broken.
    #[cold]
    fn settle(
        &mut self,
        outcome: Outcome<()>,
        mark: Mark,
        before: usize,
        place: impl Fn(Box<Fault>) -> Box<Fault>,
    ) -> Outcome<()> {
        if let Problems::All(problems) = &mut self.problems {
            let inner = problems.split_off(before.min(problems.len()));
            problems.extend(inner.into_iter().map(|fault| *place(Box::new(fault))));
        }
        let Err(fault) = outcome else { return Ok(()) };
        let fault = place(fault);
        match &mut self.problems {
            Problems::All(problems) if !fault.of_document => problems.push(*fault),
            _ => return Err(fault),
        }
        self.scanner.go_back(mark);
        self.scanner.skip_value()
    }

    fn collected(&self) -> usize {
        match &self.problems {
            Problems::First => 0,
            Problems::All(problems) => problems.len(),
        }
    }
}
