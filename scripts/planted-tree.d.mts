export declare function tryPatch(folder: string, name: string, ...args: string[]): { applied: boolean; said: string };
