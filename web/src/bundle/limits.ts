// Caps on files and sizes, the runtime's own: nothing larger is read, let alone decoded.
const MIB = 1 << 20;

export const LIMITS = {
  manifestBytes: MIB,
  /** Largest file of a bundle. */
  fileBytes: 512 * MIB,
  /** Largest sum of a bundle's files. */
  bundleBytes: 1024 * MIB,
  bundleFiles: 32,
  /** Golden cases once decompressed. */
  goldenBytes: 256 * MIB,
  imageFileBytes: 64 * MIB,
  /** Largest side of an image that is decoded, in pixels. */
  side: 2048,
  /** Pixels of all slices that are opened at once: 256 MiB of H*W*3 values. */
  slicePixels: 1 << 26,
  /** Voxels of one series. */
  voxels: 1 << 28,
  /** One NIfTI file, compressed or not. */
  volumeFileBytes: 1024 * MIB,
  /** Files given at once. */
  files: 20_000,
} as const;
