/** Java: RocketMQ's jars from Maven Central, the driver compiled on them, and how a JVM is started. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { built, run } from "./cache.ts";

/** Tools that the Java clients need on PATH. */
export const JAVA_TOOLS: readonly string[] = ["java", "javac", "mvn"];

const SOURCES = join(import.meta.dirname, "java");
/** A release whose client is driven. */
export type JavaRelease = "4.9.8" | "5.3.3" | "5.4.0";

/** A client alone, of the release that Maven is told; with 5.4.0 come the broker and mqadmin, which are of that release, too. */
const CLIENT_ALONE = join(SOURCES, "pom.xml");
const POMS: Readonly<Record<JavaRelease, string>> = {
  "4.9.8": CLIENT_ALONE,
  "5.3.3": CLIENT_ALONE,
  "5.4.0": join(import.meta.dirname, "../apache/pom.xml"),
};

const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";

/** The folder of a release's jars. */
export function libraries(release: JavaRelease): Promise<string> {
  const pom = POMS[release];
  return built(`rocketmq-${release}`, [pom], async (folder) => {
    const options = [`-Drocketmq.version=${release}`, `-DoutputDirectory=${folder}`, "-DincludeScope=runtime"];
    await run("mvn", ["-B", "-q", "-f", pom, COPY, ...options]);
  });
}

/** The class path of the driver for a release. mqadmin is in that of 5.4.0 alone. */
export async function driverClassPath(release: JavaRelease): Promise<string> {
  const jars = await libraries(release);
  const folders = release === "5.4.0" ? [SOURCES, join(SOURCES, "admin")] : [SOURCES];
  const files = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".java"))
      .map((name) => join(folder, name)),
  );
  const classes = await built(`driver-${release}`, [...files, POMS[release]], async (folder) => {
    await run("javac", ["-nowarn", "-cp", `${jars}/*`, "-d", folder, ...files]);
  });
  return `${classes}:${jars}/*`;
}

/** Most of these processes are over before the better compiler pays. */
const SHORT_LIVED = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"];

/** What a JVM of the tests is started with, as `rocketmqOptions`. */
export function javaOptions(folder: string, level: "INFO" | "WARN" = "WARN"): string[] {
  return [...SHORT_LIVED, ...rocketmqOptions(folder, level)];
}

/** What RocketMQ needs of any JVM: `folder` takes its own log, and what it keeps in the user's home. */
export function rocketmqOptions(folder: string, level: "INFO" | "WARN" = "WARN"): string[] {
  const opened = ["java.nio", "sun.nio.ch", "java.lang", "jdk.internal.ref"];
  return [
    ...opened.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    ...[`-Duser.home=${folder}`, `-Djava.io.tmpdir=${folder}`, "-Djava.net.preferIPv4Stack=true"],
    ...[`-Drocketmq.log.file=${folder}/rocketmq.log`, `-Drocketmq.log.level=${level}`],
    `-Drmq.logback.configurationFile=${join(import.meta.dirname, "../apache/logback.xml")}`,
    ...[`-Drocketmq.client.logRoot=${folder}`, `-Drocketmq.client.logLevel=${level}`],
  ];
}
