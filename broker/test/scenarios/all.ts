/** Every scenario. */
import { admin } from "./admin.ts";
import { consuming } from "./consuming.ts";
import { crowds } from "./crowd.ts";
import { idling } from "./idle.ts";
import { interchanges } from "./interchange/interchange.ts";
import { crashes } from "./kills.ts";
import { ordered } from "./ordered.ts";
import { processes } from "./processes.ts";
import { pulls } from "./pulls.ts";
import { refusals } from "./refusals.ts";
import { restartedKinds } from "./restarted-kinds.ts";
import { restarts } from "./restarts.ts";
import { retries } from "./retries.ts";
import type { Scenario } from "./scenario.ts";
import { sends } from "./sends.ts";
import { topics } from "./topics.ts";

export const ALL_SCENARIOS: readonly Scenario[] = [
  ...sends,
  ...consuming,
  ...ordered,
  ...retries,
  ...pulls,
  ...refusals,
  ...topics,
  ...restarts,
  ...restartedKinds,
  ...processes,
  ...admin,
  ...crashes,
  ...interchanges,
  ...crowds,
  ...idling,
];
