export declare function checkEngine(wanted: string | undefined): void;
export declare function enginesOf(packed: readonly string[], wanted?: string): string[];
