/** Items in the order of a number, any of which can be taken out: a binary heap that knows where each item stands. */
export class Heap<T> {
  readonly #key: (item: T) => number;
  readonly #items: T[] = [];
  readonly #places: Map<T, number> = new Map();

  /** `key` gives the number of an item, which does not change while the item is here. */
  constructor(key: (item: T) => number) {
    this.#key = key;
  }

  get size(): number {
    return this.#items.length;
  }

  /** An item with the least number. */
  get first(): T | undefined {
    return this.#items[0];
  }

  add(item: T): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1, item);
  }

  /** Takes an item out; one that is not here is left alone. */
  delete(item: T): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#items.pop() as T;
    if (last === item) return;
    // The last item takes the place, and goes up or down from there.
    this.#rise(place, last);
    this.#sink(this.#places.get(last) as number, last);
  }

  #rise(from: number, item: T): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (this.#key(this.#items[above] as T) <= this.#key(item)) break;
      this.#put(place, this.#items[above] as T);
      place = above;
    }
    this.#put(place, item);
  }

  #sink(from: number, item: T): void {
    const items = this.#items;
    let place = from;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && this.#key(items[below + 1] as T) < this.#key(items[below] as T)) below++;
      if (this.#key(items[below] as T) >= this.#key(item)) break;
      this.#put(place, items[below] as T);
      place = below;
    }
    this.#put(place, item);
  }

  #put(place: number, item: T): void {
    this.#items[place] = item;
    this.#places.set(item, place);
  }
}
