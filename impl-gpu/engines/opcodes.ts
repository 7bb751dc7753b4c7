/** Opcodes, named as in the WebAssembly specification (core 2.0, section 5.4). One constant each, so that a bundle has those that it uses. */

export const loop = [0x03, 0x40] as const;
export const ifThen = [0x04, 0x40] as const;
export const end = [0x0b] as const;
export const brIf0 = [0x0d, 0x00] as const;
export const i32Load = [0x28, 0x02, 0x00] as const;
export const i32Store = [0x36, 0x02, 0x00] as const;
export const i32Eqz = [0x45] as const;
export const i32GeU = [0x4f] as const;
export const i32Add = [0x6a] as const;
export const i32Sub = [0x6b] as const;
export const i32And = [0x71] as const;
export const i32Or = [0x72] as const;
export const i32Shl = [0x74] as const;
export const i32ShrU = [0x76] as const;
export const i32Popcnt = [0x69] as const;
export const f64Add = [0xa0] as const;
export const else_ = [0x05] as const;
export const return_ = [0x0f] as const;
export const call = [0x10] as const;
export const select = [0x1b] as const;
export const i32LtU = [0x49] as const;
export const f32Le = [0x5f] as const;
export const f32Ge = [0x60] as const;
export const i32Mul = [0x6c] as const;
export const f32Mul = [0x94] as const;
export const f64PromoteF32 = [0xbb] as const;
