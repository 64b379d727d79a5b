export declare function linkTools(project: string): void;
