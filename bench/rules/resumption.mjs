// Which runs are still to be made.

/** Whether a run that was kept says what a new one would say; failed ones are tried again. */
export function isSame(kept, wanted) {
  return (
    kept.failed === undefined &&
    kept.contestant === wanted.contestant &&
    kept.round === wanted.round &&
    kept.commit === wanted.commit &&
    kept.machine === wanted.machine &&
    kept.amount === wanted.amount
  );
}

/** Where the commit is not known nothing can be resumed. */
export function isKept(runs, wanted) {
  return wanted.commit !== undefined && runs.some((kept) => isSame(kept, wanted));
}

/** The runs with a new one, which takes the place of an older one of that contestant and round on that machine. */
export function withRun(runs, run) {
  const place = (one) => `${one.contestant}\n${one.round}\n${one.machine}`;
  return [...runs.filter((kept) => place(kept) !== place(run)), run];
}

/** Figures of one commit, machine and amount by contestant, in the order of their rounds. */
export function figuresOf(runs, { commit, machine, amount }, rounds = Infinity) {
  const figures = {};
  for (const run of runs.toSorted((a, b) => a.round - b.round)) {
    const fits = run.commit === commit && run.machine === machine && run.amount === amount && run.round < rounds;
    if (!fits || run.failed !== undefined) continue;
    figures[run.contestant] ??= [];
    figures[run.contestant].push(run.figures);
  }
  return figures;
}
