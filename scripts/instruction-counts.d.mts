export declare function perUnit(said: string, dump: (part: number) => string): Record<string, number>;
export declare function compare(
  expected: Record<string, number>,
  counted: Record<string, number>,
  tolerance: number,
  own?: Record<string, number>,
): { name: string; fits: boolean; line: string }[];
