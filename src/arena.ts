/** Memory that messages are encoded into: one buffer seen as bytes, integers and doubles, so that nothing is allocated per field. */

/** Room of an arena that was never used for much. */
const FIRST_BYTES = 64 * 1024;
/** Above this an arena grows to what is needed instead of doubling. */
const DOUBLING_LIMIT = 8 * 1024 * 1024;
/**
 * Longest text that is written character by character. Reading one costs several nanoseconds in a string that was put
 * together from parts, as keys are; the runtime flattens and encodes a longer one at once.
 */
const LOOP_CHARACTERS = 10;
/** Longest text that is encoded on the side first, so that no view has to be made of the arena. */
const STAGED_CHARACTERS = 1024;
/** Most bytes that one UTF-16 unit takes in UTF-8. */
const UTF8_BYTES_PER_UNIT = 3;

/** Characters up to the space that a text must not have: 1 at their codes. */
export type ForbiddenCharacters = Readonly<Uint8Array>;

const encoder = new TextEncoder();
const staging = new Uint8Array(STAGED_CHARACTERS * UTF8_BYTES_PER_UNIT);

/** A set of characters below 33 for `writeText`. */
export function forbiddenCharacters(...codes: readonly number[]): ForbiddenCharacters {
  const table = new Uint8Array(33);
  for (const code of codes) table[code] = 1;
  return table;
}

/**
 * Views over one buffer, and where the next byte goes. Integers and doubles are stored as the machine has them:
 * little-endian everywhere Node runs with addons.
 */
export class Arena {
  bytes: Uint8Array;
  ints: Int32Array;
  doubles: Float64Array;
  /** Where the next byte goes; what lies before it is kept when the arena grows. */
  at = 0;

  constructor(capacity: number = FIRST_BYTES) {
    const buffer = new ArrayBuffer(Math.ceil(capacity / FIRST_BYTES) * FIRST_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.ints = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /** Makes room for so many bytes from `at` on. The views may be new ones afterwards. */
  reserve(bytes: number): void {
    if (this.at + bytes > this.bytes.length) this.#grow(this.at + bytes);
  }

  #grow(end: number): void {
    const larger = new Arena(end <= DOUBLING_LIMIT ? Math.max(end, this.capacity * 2) : end);
    larger.bytes.set(this.bytes.subarray(0, this.at));
    this.bytes = larger.bytes;
    this.ints = larger.ints;
    this.doubles = larger.doubles;
  }

  writeByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.at++] = byte;
  }

  /** A few bytes: a loop is quicker than a call into the runtime. */
  writeBytes(source: Uint8Array): void {
    this.reserve(source.length);
    const { bytes, at } = this;
    for (let i = 0; i < source.length; i++) bytes[at + i] = source[i] as number;
    this.at = at + source.length;
  }

  /**
   * Writes text as UTF-8; lone surrogates become U+FFFD, as TextEncoder has it. Returns false, and has written nothing,
   * where the text has a forbidden character.
   */
  writeText(text: string, forbidden: ForbiddenCharacters): boolean {
    const length = text.length;
    this.reserve(length * UTF8_BYTES_PER_UNIT);
    if (length > LOOP_CHARACTERS) return this.#writeLongText(text, forbidden);
    const { bytes, at } = this;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80 || (code <= 32 && forbidden[code] === 1)) return this.#writeFrom(i, text, forbidden);
      bytes[at + i] = code;
    }
    this.at = at + length;
    return true;
  }

  /** Writes the characters from `first` on, of any kind, behind those before, which have a byte each. */
  #writeFrom(first: number, text: string, forbidden: ForbiddenCharacters): boolean {
    const bytes = this.bytes;
    const length = text.length;
    let to = this.at + first;
    for (let i = first; i < length; i++) {
      let code = text.charCodeAt(i);
      if (code < 0x80) {
        if (code <= 32 && forbidden[code] === 1) return false;
        bytes[to++] = code;
        continue;
      }
      if (code < 0x800) {
        bytes[to++] = 0xc0 | (code >> 6);
        bytes[to++] = 0x80 | (code & 0x3f);
        continue;
      }
      if (code >= 0xd800 && code <= 0xdfff) {
        const low = code <= 0xdbff && i + 1 < length ? text.charCodeAt(i + 1) : 0;
        if (low >= 0xdc00 && low <= 0xdfff) {
          i++;
          const point = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          bytes[to++] = 0xf0 | (point >> 18);
          bytes[to++] = 0x80 | ((point >> 12) & 0x3f);
          bytes[to++] = 0x80 | ((point >> 6) & 0x3f);
          bytes[to++] = 0x80 | (point & 0x3f);
          continue;
        }
        code = 0xfffd;
      }
      bytes[to++] = 0xe0 | (code >> 12);
      bytes[to++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[to++] = 0x80 | (code & 0x3f);
    }
    this.at = to;
    return true;
  }

  #writeLongText(text: string, forbidden: ForbiddenCharacters): boolean {
    const { bytes, at } = this;
    if (text.length > STAGED_CHARACTERS) {
      const to = at + encoder.encodeInto(text, bytes.subarray(at)).written;
      for (let i = at; i < to; i++) {
        const byte = bytes[i] as number;
        if (byte <= 32 && forbidden[byte] === 1) return false;
      }
      this.at = to;
      return true;
    }
    const { written } = encoder.encodeInto(text, staging);
    for (let i = 0; i < written; i++) {
      const byte = staging[i] as number;
      if (byte <= 32 && forbidden[byte] === 1) return false;
      bytes[at + i] = byte;
    }
    this.at = at + written;
    return true;
  }
}
