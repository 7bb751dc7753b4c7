/**
 * TFRecord framing (tensorflow/core/lib/io/record_writer.h): little-endian uint64 length, masked CRC of those eight bytes, data, masked CRC
 * of the data.
 */

/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TFRecord's masked form: rotated right by 15 bits, plus a constant. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Bytes around a record's data: length and two checksums. */
const HEAD = 12;
const TAIL = 4;

export function encodeRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(HEAD + data.length + TAIL);
  record.writeBigUInt64LE(BigInt(data.length));
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, HEAD);
  record.writeUInt32LE(maskedCrc(data), HEAD + data.length);
  return record;
}

/** The records of a file, each with the offset of its end; stops in front of the first one that is cut off or damaged. */
export function* readRecords(bytes: Buffer): Generator<{ readonly data: Buffer; readonly end: number }> {
  for (let at = 0; at + HEAD + TAIL <= bytes.length;) {
    if (bytes.readUInt32LE(at + 8) !== maskedCrc(bytes.subarray(at, at + 8))) return;
    const length = Number(bytes.readBigUInt64LE(at));
    const end = at + HEAD + length + TAIL;
    if (end > bytes.length) return;
    const data = bytes.subarray(at + HEAD, end - TAIL);
    if (bytes.readUInt32LE(end - TAIL) !== maskedCrc(data)) return;
    yield { data, end };
    at = end;
  }
}
