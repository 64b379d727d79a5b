//! RocketMQ's JSON files, read leniently (§1.2): keys with or without quotes, nothing kept but what is asked for.

use alloc::string::String;

use crate::limits::MAX_SAFE_INTEGER;

/// Nesting that is followed; RocketMQ's own files have six levels.
const MAX_DEPTH: usize = 256;
/// Longest number.
const MAX_NUMBER_BYTES: usize = 1000;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The text is not JSON, or too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

/// Walks a JSON text from front to back.
#[derive(Debug)]
pub struct JsonReader<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        let at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { text, at, depth: 0 }
    }

    /// Whether an object stands here.
    pub fn is_object(&mut self) -> bool {
        self.peek() == Ok(b'{')
    }

    /// Reads an object; `member` gets each name and reads its value, or skips it. Anything but an object is skipped.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), NotJson>) -> Result<(), NotJson> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.list(b'}', |reader| {
            let name = reader.name()?;
            reader.expect(b':')?;
            member(reader, &name)
        })
    }

    /// Reads a string; `None` for a value of another kind, which is skipped.
    pub fn string(&mut self) -> Result<Option<String>, NotJson> {
        match self.peek()? {
            b'"' | b'\'' => self.quoted().map(Some),
            _ => self.skip().map(|()| None),
        }
    }

    /// Reads a whole number from 0 to 2^53 - 1, with or without quotes; `None` for anything else, which is skipped.
    pub fn number(&mut self) -> Result<Option<u64>, NotJson> {
        let text = match self.peek()? {
            b'"' | b'\'' => self.quoted()?,
            b'{' | b'[' => return self.skip().map(|()| None),
            _ => {
                let from = self.at;
                self.number_or_literal()?;
                String::from_utf8_lossy(&self.text[from..self.at]).into_owned()
            }
        };
        Ok(text.parse().ok().filter(|&number| number <= MAX_SAFE_INTEGER))
    }

    pub fn skip(&mut self) -> Result<(), NotJson> {
        match self.peek()? {
            b'{' => self.object(|reader, _| reader.skip()),
            b'[' => self.list(b']', Self::skip),
            b'"' | b'\'' => self.quoted().map(|_| ()),
            _ => self.number_or_literal(),
        }
    }

    /// Whether nothing but blanks and comments is left. RocketMQ reads over zeros that a file system may leave at the end.
    pub fn is_at_end(&mut self) -> bool {
        (self.peek().is_err() && self.at == self.text.len()) || self.text[self.at..].iter().all(|&byte| byte == 0)
    }

    /// What stands between an opening bracket and `close`, separated by commas.
    fn list(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), NotJson>) -> Result<(), NotJson> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(NotJson);
        }
        self.commas()?;
        while self.peek()? != close {
            item(self)?;
            if self.peek()? != close {
                self.expect(b',')?;
                self.commas()?;
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Over commas with nothing before them.
    fn commas(&mut self) -> Result<(), NotJson> {
        while self.peek()? == b',' {
            self.at += 1;
        }
        Ok(())
    }

    fn name(&mut self) -> Result<String, NotJson> {
        match self.peek()? {
            b'"' | b'\'' => self.quoted(),
            _ => {
                let rest = &self.text[self.at..];
                let length = Some(number_length(rest)).filter(|&length| length > 0).unwrap_or_else(|| word_length(rest));
                self.at += length;
                if length == 0 { Err(NotJson) } else { Ok(String::from_utf8_lossy(&rest[..length]).into_owned()) }
            }
        }
    }

    fn number_or_literal(&mut self) -> Result<(), NotJson> {
        let rest = &self.text[self.at..];
        let mut length = number_length(rest);
        if length > MAX_NUMBER_BYTES {
            return Err(NotJson);
        }
        if length == 0 {
            length = word_length(rest);
            if !matches!(&rest[..length], b"null" | b"true" | b"false") {
                return Err(NotJson);
            }
        } else if matches!(rest.get(length), Some(b'L' | b'S' | b'B' | b'F' | b'D')) {
            length += 1; // the type of a number, as fastjson marks it
        }
        self.at += length;
        Ok(())
    }

    fn quoted(&mut self) -> Result<String, NotJson> {
        let quote = self.text[self.at];
        self.at += 1;
        let mut out = alloc::vec::Vec::new();
        loop {
            let byte = self.next()?;
            match byte {
                b'\\' => self.escaped(&mut out)?,
                _ if byte == quote => return Ok(String::from_utf8_lossy(&out).into_owned()),
                _ => out.push(byte),
            }
        }
    }

    fn escaped(&mut self, out: &mut alloc::vec::Vec<u8>) -> Result<(), NotJson> {
        let plain = match self.next()? {
            digit @ b'0'..=b'7' => digit - b'0',
            b'b' => 8,
            b'v' => 11,
            b'f' | b'F' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let character = char::from(self.hexadecimal(2)? as u8);
                out.extend_from_slice(character.encode_utf8(&mut [0; 2]).as_bytes());
                return Ok(());
            }
            b'u' => {
                let first = self.hexadecimal(4)?;
                let mut units = alloc::vec![first];
                if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    units.push(self.hexadecimal(4)?);
                }
                out.extend_from_slice(String::from_utf16_lossy(&units).as_bytes());
                return Ok(());
            }
            byte @ (b'"' | b'\'' | b'\\' | b'/') => byte,
            _ => return Err(NotJson),
        };
        out.push(plain);
        Ok(())
    }

    /// Two or four hex digits.
    fn hexadecimal(&mut self, count: usize) -> Result<u16, NotJson> {
        let digits = self.text.get(self.at..self.at + count).ok_or(NotJson)?;
        self.at += count;
        let value = |digit: &u8| char::from(*digit).to_digit(16).ok_or(NotJson);
        digits.iter().try_fold(0, |unit, digit| Ok(unit << 4 | value(digit)? as u16))
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek()? != byte {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn next(&mut self) -> Result<u8, NotJson> {
        let byte = *self.text.get(self.at).ok_or(NotJson)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte that is no blank, of those that fastjson knows, and in no comment.
    fn peek(&mut self) -> Result<u8, NotJson> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'/' => self.comment()?,
                b' ' | b'\t' | b'\n' | b'\r' | 0x08 | 0x0B | 0x0C => self.at += 1,
                _ => return Ok(byte),
            }
        }
        Err(NotJson)
    }

    /// From `//` to the end of the line, or from `/*` to `*/`.
    fn comment(&mut self) -> Result<(), NotJson> {
        let rest = &self.text[self.at..];
        let length = match rest.get(1) {
            Some(b'/') => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
            Some(b'*') => rest[2..].windows(2).position(|end| end == b"*/").ok_or(NotJson)? + 4,
            _ => return Err(NotJson),
        };
        self.at += length;
        Ok(())
    }
}

/// Bytes of the number that stands at the front, as leniently as fastjson takes one: `+5`, `.5`, `1.`, `007`; 0 for none.
fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let fraction = if text.get(end) == Some(&b'.') { digits(end + 1) } else { 0 };
    if whole + fraction == 0 {
        return 0;
    }
    if text.get(end) == Some(&b'.') {
        end += 1 + fraction;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let from = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = if from < text.len() { digits(from) } else { 0 };
        if exponent > 0 {
            end = from + exponent;
        }
    }
    end
}

/// Bytes of the bare word that stands at the front; 0 for none.
fn word_length(text: &[u8]) -> usize {
    if text.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')).count()
}
