export interface WasmManifest {
  sources: string;
  sha256: string;
  toolchain: string;
  builds: Record<string, string>;
}

export declare const ROOT: string;
export declare const MODULE: string;
export declare const MANIFEST: string;
export declare const FLAGS: string[];
export declare function sourceFiles(root?: string): string[];
export declare function sourcesHash(root?: string): string;
export declare function readManifest(root?: string): WasmManifest;
export declare function whatIsWrong(root?: string): string | undefined;
export declare function sha256(bytes: Uint8Array | string): string;
