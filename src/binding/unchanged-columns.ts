/** Columns lie in memory of the caller, whose code may run between the check of them and their way to the engine. */
import { argumentError, type StoreError } from "../errors.ts";
import type { EncodedColumns } from "./contract.ts";

/**
 * Whether columns still have what they had for the messages up to `to`. Code of the caller has run since they were
 * checked: its clock, and whoever is told of what was stored so far.
 */
export function checkUnchanged(columns: EncodedColumns, to: number): void {
  const { properties, topicOf, bornHostOf, flags, sysFlags, reconsumeTimes } = columns;
  const isWhole =
    columns.queueIds.length >= to &&
    columns.bodies.length >= 2 * to &&
    (properties === undefined || properties.length >= 2 * to) &&
    (topicOf === undefined || topicOf.length >= to) &&
    (bornHostOf === undefined || bornHostOf.length >= to) &&
    (flags === undefined || flags.length >= to) &&
    (sysFlags === undefined || sysFlags.length >= to) &&
    (reconsumeTimes === undefined || reconsumeTimes.length >= to) &&
    (columns.preparedTransactionOffsets === undefined || columns.preparedTransactionOffsets.length >= to) &&
    (columns.bornTimestamps === undefined || columns.bornTimestamps.length >= to);
  if (!isWhole) throw changedError();
}

/** The error about columns that are not any more what was checked. */
export function changedError(): StoreError {
  return argumentError("columns", "columns were changed while they were being stored, or have lost their memory");
}
