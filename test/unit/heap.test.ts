import fc from "fast-check";
import { expect, it } from "vitest";
import { Heap } from "../../src/heap.ts";

interface Item {
  key: number;
}

it("gives the least item first, whatever was added and taken out", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ take: fc.nat() }),
    fc.constant("first" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new Heap<Item>(({ key }) => key);
      let items: Item[] = [];
      const remove = (item: Item | undefined): void => {
        if (item === undefined) return;
        heap.delete(item);
        items = items.filter((other) => other !== item);
      };
      for (const step of steps) {
        if (step === "first") {
          remove(heap.first);
        } else if ("add" in step) {
          const item = { key: step.add };
          heap.add(item);
          items.push(item);
        } else {
          remove(items[step.take % Math.max(1, items.length)]);
        }
        expect(heap.size).toBe(items.length);
        expect(heap.first?.key).toBe(items.length === 0 ? undefined : Math.min(...items.map(({ key }) => key)));
      }
    }),
  );
});

it("leaves an item that is not there alone", () => {
  const heap = new Heap<Item>(({ key }) => key);
  const item = { key: 1 };
  heap.add(item);
  heap.delete({ key: 1 });
  expect(heap.first).toBe(item);
  heap.delete(item);
  heap.delete(item);
  expect([heap.size, heap.first]).toEqual([0, undefined]);
});
