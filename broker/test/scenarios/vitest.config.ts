import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Scenarios mostly wait: many at a time, over one broker and one client. */
const config: ViteUserConfig = defineConfig({
  test: { root: import.meta.dirname, include: ["**/*.test.ts"], pool: "forks", maxConcurrency: 12 },
});

export default config;
