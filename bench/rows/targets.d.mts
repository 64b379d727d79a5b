import type { Target } from "../rules/judgement.mjs";

export const TARGETS: readonly Target[];
