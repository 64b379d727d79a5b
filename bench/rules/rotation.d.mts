export function rotated<T>(contestants: readonly T[], round: number): T[];
