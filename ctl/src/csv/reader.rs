//! The records of a CSV file, one at a time, each with its number and its line. Libraries for CSV take a stray quote, an
//! open one or a NUL for what they may have meant; here each is told with its place, so that no row is read askew.

use std::io::{self, BufRead, BufReader, Read};

/// The longest record: a missing quote must not take the whole file for one.
pub(super) const LONGEST: usize = 1024 * 1024;

/// A record of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Its number; the header has 0. Blank lines do not count.
    pub(super) row: u64,
    /// The line of the file where it begins, from 1.
    pub(super) line: u64,
    /// Its cells, without their quotes.
    pub(super) cells: Vec<String>,
}

/// What is wrong with the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// This record cannot be read; the next one begins on the line after it.
    Record {
        /// The record's number.
        row: u64,
        /// The line where the fault is.
        line: u64,
        /// What is wrong.
        text: String,
    },
    /// Nothing after that line can be read.
    File {
        /// The line.
        line: u64,
        /// What is wrong.
        text: String,
    },
    /// The file cannot be read.
    Io(io::Error),
}

/// Reads records.
pub(super) struct Reader<R> {
    from: BufReader<R>,
    /// Lines and bytes that are read.
    line: u64,
    bytes: u64,
    next_row: u64,
    /// The physical line that was read last.
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(64 * 1024, from),
            line: 0,
            bytes: 0,
            next_row: 0,
            buffer: Vec::new(),
        }
    }

    /// The source, at the point that was read ahead to.
    pub(super) fn into_inner(self) -> R {
        self.from.into_inner()
    }

    /// The next record; `None` at the end. After [`Fault::File`] and [`Fault::Io`], there is nothing more to ask for.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            if !self.read_line(0)? {
                return Ok(None);
            }
            if !self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                return self.record().map(Some);
            }
        }
    }

    fn record(&mut self) -> Result<Record, Fault> {
        let (row, line) = (self.next_row, self.line);
        self.next_row += 1;
        let mut parser = Parser::default();
        loop {
            let read = std::mem::take(&mut self.buffer);
            let fed = text(&read, self.bytes).and_then(|line| parser.feed(line));
            self.buffer = read;
            fed.map_err(|text| Fault::Record { row, line: self.line, text })?;
            if parser.state != State::Quoted {
                return Ok(Record { row, line, cells: parser.finish() });
            }
            if !self.read_line(parser.length)? {
                let text = "the file ends within a quoted cell that begins here: it is cut off, or a quote is missing";
                return Err(Fault::File { line: line + parser.opened, text: text.to_owned() });
            }
        }
    }

    /// Reads a line into the buffer; false at the end of the file. `before` is the length of what the record has already.
    fn read_line(&mut self, before: usize) -> Result<bool, Fault> {
        self.buffer.clear();
        let room = LONGEST.saturating_sub(before) as u64 + 1;
        let read = (&mut self.from).take(room).read_until(b'\n', &mut self.buffer).map_err(Fault::Io)?;
        if read == 0 {
            return Ok(false);
        }
        self.line += 1;
        self.bytes += read as u64;
        if read as u64 == room {
            let text = "the record that reaches here is longer than 1 MiB: a quote is missing, or this is no CSV file";
            return Err(Fault::File { line: self.line, text: text.to_owned() });
        }
        if self.line == 1 {
            self.mark()?;
        }
        Ok(true)
    }

    /// Takes the mark of UTF-8 off the beginning of the file.
    fn mark(&mut self) -> Result<(), Fault> {
        if self.buffer.starts_with(&[0xFF, 0xFE]) || self.buffer.starts_with(&[0xFE, 0xFF]) {
            let text = "the file is UTF-16: save it as UTF-8, or convert it with `iconv -f UTF-16 -t UTF-8`";
            return Err(Fault::File { line: 1, text: text.to_owned() });
        }
        if self.buffer.starts_with(&[0xEF, 0xBB, 0xBF]) {
            self.buffer.drain(..3);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Where a cell begins.
    #[default]
    Begin,
    Plain,
    Quoted,
    /// After a quote within a quoted cell: it ends the cell, or the next one makes it a quote of the text.
    Quote,
}

/// A line as text; `read` bytes of the file are read up to its end.
fn text(line: &[u8], read: u64) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        let byte = line.get(at).copied().unwrap_or_default();
        let place = read - line.len() as u64 + at as u64 + 1;
        format!(
            "the text is not UTF-8: {byte:#04X} in byte {place} of the file (save it as UTF-8, or convert it: \
             `iconv -f WINDOWS-1252 -t UTF-8`)"
        )
    })
}

/// The cells of a record, fed line by line.
#[derive(Default)]
struct Parser {
    state: State,
    cells: Vec<String>,
    cell: String,
    length: usize,
    /// Lines of the record before the one where the open quote stands.
    opened: u64,
    lines: u64,
}

impl Parser {
    fn feed(&mut self, line: &str) -> Result<(), String> {
        let end = line.strip_suffix('\n').unwrap_or(line);
        let end = end.strip_suffix('\r').unwrap_or(end).len();
        let (text, ending) = line.split_at_checked(end).unwrap_or((line, ""));
        for (at, c) in text.char_indices() {
            self.take(c).map_err(|told| format!("{told} in byte {} of the line", at + 1))?;
        }
        if self.state == State::Quoted {
            self.cell.push_str(ending);
        }
        self.length += line.len();
        self.lines += 1;
        Ok(())
    }

    fn take(&mut self, c: char) -> Result<(), &'static str> {
        self.state = match (self.state, c) {
            (_, '\0') => return Err("a NUL (the file is no text, UTF-16, or damaged)"),
            (State::Quoted, '"') => State::Quote,
            (State::Quoted, _) => {
                self.cell.push(c);
                State::Quoted
            }
            (_, ',') => {
                self.cells.push(std::mem::take(&mut self.cell));
                State::Begin
            }
            (_, '\r') => return Err("a carriage return that ends no line (lines end with LF or CRLF)"),
            (State::Begin, '"') => {
                self.opened = self.lines;
                State::Quoted
            }
            (State::Plain, '"') => {
                return Err("a stray quote (a cell with quotes in it is quoted, its quotes doubled)");
            }
            (State::Quote, '"') => {
                self.cell.push(c);
                State::Quoted
            }
            (State::Quote, _) => return Err("text after a closing quote"),
            (State::Begin | State::Plain, _) => {
                self.cell.push(c);
                State::Plain
            }
        };
        Ok(())
    }

    fn finish(mut self) -> Vec<String> {
        self.cells.push(self.cell);
        self.cells
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<Record, Fault>> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(record)) => found.push(Ok(record)),
                Ok(None) => return found,
                Err(fault) => {
                    let over = !matches!(fault, Fault::Record { .. });
                    found.push(Err(fault));
                    if over {
                        return found;
                    }
                }
            }
        }
    }

    fn cells(bytes: &[u8]) -> Vec<Vec<String>> {
        all(bytes).into_iter().map(|record| record.unwrap().cells).collect()
    }

    #[test]
    fn records_know_their_number_and_their_line() {
        let text = b"\xEF\xBB\xBFa,b\r\n\r\n1,\"x\r\ny \"\"z\"\"\"\n\n2,\n3,last";
        let records: Vec<Record> = all(text).into_iter().map(Result::unwrap).collect();
        let places: Vec<_> = records.iter().map(|record| (record.row, record.line)).collect();
        assert_eq!(places, [(0, 1), (1, 3), (2, 6), (3, 7)]);
        assert_eq!(cells(text), [["a", "b"], ["1", "x\r\ny \"z\""], ["2", ""], ["3", "last"]]);
    }

    #[test]
    fn what_is_no_csv_is_told_with_its_place() {
        let long = [b"a\n\"".to_vec(), vec![b'x'; LONGEST + 1]].concat();
        // The text, whether the rest can be read, the line, and what is said.
        let table: [(&[u8], bool, u64, &str); 12] = [
            (
                b"a,b\n1,x\"y\n2,3\n",
                true,
                2,
                "a stray quote (a cell with quotes in it is quoted, its quotes doubled) in byte 4",
            ),
            (b"a,b\n1,\"x\"y\n2,3\n", true, 2, "text after a closing quote in byte 6"),
            (b"a,b\n1,\"x\ny\"z\n2,3\n", true, 3, "text after a closing quote in byte 3"),
            (b"a,b\n1,\x00\n2,3\n", true, 2, "a NUL"),
            (b"a,b\n1,\xE9t\n2,3\n", true, 2, "not UTF-8: 0xE9 in byte 7 of the file"),
            (b"a,b\n1,\"\xE9t\"\n2,3\n", true, 2, "not UTF-8: 0xE9"),
            (b"a,b\r1,2\r2,3\n2,3\n", true, 1, "a carriage return that ends no line"),
            (b"a,b\n1,\"x\n2,3\n", false, 2, "ends within a quoted cell"),
            (b"a,b\n\"1\",\"x\n\"\"\n", false, 2, "cut off"),
            (b"\xFF\xFEa\x00", false, 1, "UTF-16"),
            (b"\xFE\xFF\x00a", false, 1, "UTF-16"),
            (&long, false, 2, "longer than 1 MiB"),
        ];
        for (text, goes_on, line, told) in table {
            let shown = String::from_utf8_lossy(&text[..text.len().min(30)]).into_owned();
            let found = all(text);
            let fault = found.iter().find_map(|record| record.as_ref().err()).unwrap();
            let (at, said, more) = match fault {
                Fault::Record { line, text, .. } => (*line, text, true),
                Fault::File { line, text } => (*line, text, false),
                Fault::Io(error) => panic!("{error}"),
            };
            assert!(said.contains(told), "{shown:?}: {said}");
            assert_eq!((at, more), (line, goes_on), "{shown:?}");
            assert_eq!(found.last().unwrap().is_ok(), goes_on, "{shown:?}");
        }
    }

    #[test]
    fn a_missing_line_end_is_fine_and_an_empty_file_has_no_records() {
        assert_eq!(cells(b"a,b\n1,\"2\""), [["a", "b"], ["1", "2"]]);
        assert_eq!(cells(b""), Vec::<Vec<String>>::new());
        assert_eq!(cells(b"\n\r\n"), Vec::<Vec<String>>::new());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_to_their_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            all(&bytes);
        }

        #[test]
        fn bytes_of_csv_are_read_to_their_end_without_a_panic(text in "[a\",\r\n\u{e9}\u{0}]{0,60}") {
            all(text.as_bytes());
        }

        #[test]
        fn what_a_writer_writes_is_what_is_read(
            rows in proptest::collection::vec(proptest::collection::vec("[a\", \r\n;é]{0,6}", 3), 1..6)
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            prop_assert_eq!(cells(&writer.into_inner().unwrap()), rows);
        }
    }
}
