/**
 * The text of a document that changes, as `printJson` writes it. It is kept in pieces of some entries each, of which only those
 * are printed again that have changed: a table may have a hundred thousand entries, and is written each second.
 *
 * Parts are the objects under the keys of the root; their entries are what pieces are made of. All else is printed anew each time.
 */
import { type JsonNode, JsonObject } from "./nodes.ts";
import { Printer } from "./print.ts";

/** Entries of a piece. */
const PIECE_ENTRIES = 32;
/** Of parts in a document. */
const LEVEL = 1;

interface Piece {
  /** In the order of the entries. */
  readonly keys: Set<string>;
  /** Each entry with a comma in front; undefined where it has to be printed. */
  text: Buffer | undefined;
}

export class KeptText {
  readonly #root: JsonObject;
  readonly #parts: WeakMap<JsonObject, Part> = new WeakMap();

  constructor(root: JsonObject) {
    this.#root = root;
  }

  /**
   * What the keys lead to was changed, added or removed: an entry of a part or something in it, or with one key all that stands
   * there. To be told at once, as it is the order of what is told that the order of entries is known by. Returns whether the part
   * may have other keys now.
   */
  changed([name = "", key]: readonly string[]): boolean {
    const object = this.#root.entries.get(name);
    if (!(object instanceof JsonObject)) return true;
    if (key !== undefined) return this.#parts.get(object)?.changed(key) ?? true;
    this.#parts.delete(object);
    return true;
  }

  /** Prints what has changed until `isEnough`, asked in front of each piece. Returns whether nothing is left. */
  print(isEnough: () => boolean): boolean {
    for (const object of this.#root.entries.values()) {
      if (object instanceof JsonObject && !this.#partOf(object).print(isEnough)) return false;
    }
    return true;
  }

  /** The whole text in UTF-8; prints what is left to be printed. Throws as `printJson`. */
  bytes(): Buffer {
    this.print(() => false);
    const gathering = new Gathering(this.#root, this.#parts);
    gathering.value(this.#root, 0);
    return gathering.bytes();
  }

  #partOf(object: JsonObject): Part {
    const known = this.#parts.get(object);
    if (known !== undefined) return known;
    const part = new Part(this.#root, object);
    this.#parts.set(object, part);
    return part;
  }
}

class Part {
  readonly #root: JsonObject;
  readonly #object: JsonObject;
  readonly pieces: Set<Piece> = new Set();
  readonly #pieceOf: Map<string, Piece> = new Map();
  readonly #unprinted: Set<Piece> = new Set();
  #last: Piece | undefined;

  constructor(root: JsonObject, object: JsonObject) {
    this.#root = root;
    this.#object = object;
    for (const key of object.entries.keys()) this.#add(key);
  }

  changed(key: string): boolean {
    const piece = this.#pieceOf.get(key);
    const isThere = this.#object.entries.has(key);
    if (piece === undefined) {
      if (isThere) this.#add(key);
      return isThere;
    }
    piece.text = undefined;
    this.#unprinted.add(piece);
    if (!isThere) this.#remove(key, piece);
    return !isThere;
  }

  print(isEnough: () => boolean): boolean {
    for (const piece of this.#unprinted) {
      if (isEnough()) return false;
      const printer = new Printer(this.#root);
      for (const key of piece.keys) {
        printer.text += ",";
        printer.entry(this.#object, key, LEVEL);
      }
      piece.text = Buffer.from(printer.text, "utf8");
      this.#unprinted.delete(piece);
    }
    return true;
  }

  /** Maps have what is added at their end. */
  #add(key: string): void {
    let piece = this.#last;
    if (piece === undefined || piece.keys.size >= PIECE_ENTRIES) {
      piece = { keys: new Set(), text: undefined };
      this.pieces.add(piece);
      this.#last = piece;
    }
    piece.keys.add(key);
    piece.text = undefined;
    this.#pieceOf.set(key, piece);
    this.#unprinted.add(piece);
  }

  #remove(key: string, piece: Piece): void {
    this.#pieceOf.delete(key);
    piece.keys.delete(key);
    if (piece.keys.size > 0) return;
    this.pieces.delete(piece);
    this.#unprinted.delete(piece);
    if (piece === this.#last) this.#last = undefined;
  }
}

/** Puts the text of a document together from that of its parts. */
class Gathering extends Printer {
  readonly #parts: WeakMap<JsonObject, Part>;
  readonly #bytes: Buffer[] = [];

  constructor(root: JsonObject, parts: WeakMap<JsonObject, Part>) {
    super(root);
    this.#parts = parts;
  }

  override value(node: JsonNode, level: number): void {
    const part = level === LEVEL && node instanceof JsonObject ? this.#parts.get(node) : undefined;
    if (part === undefined) {
      super.value(node, level);
      return;
    }
    this.open("{", level);
    this.#take();
    let isFirst = true;
    for (const { text } of part.pieces) {
      this.#bytes.push((text as Buffer).subarray(isFirst ? 1 : 0));
      isFirst = false;
    }
    this.close(node as JsonObject, level);
  }

  bytes(): Buffer {
    this.#take();
    return Buffer.concat(this.#bytes);
  }

  /** What was printed so far stands in front of what comes. */
  #take(): void {
    this.#bytes.push(Buffer.from(this.text, "utf8"));
    this.text = "";
  }
}
