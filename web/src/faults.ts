// The one class of errors: a code and values; the words are in the strings file, by code.

/** Every fault that the page can meet. The values that each one carries stand behind it. */
export type FaultCode =
  // the bundle
  | "bundle-missing" // {expected}: no manifest.json among the files
  | "bundle-incomplete" // {missing}: names of listed files that are not there
  | "bundle-unlisted" // {files}: names of files that the manifest does not list
  | "bundle-tampered" // {file, expected, got}: size or SHA-256 differs
  | "bundle-schema" // {where, expected, got}: the manifest or the golden cases are damaged, or of another schema
  | "bundle-too-large" // {file, most, got}
  | "digest-malformed" // {got}: the pinned digest is not 64 hexadecimal digits
  | "digest-mismatch" // {expected, got}
  | "variant-unknown" // {variant, known}
  // files
  | "nothing-opened" // {names}: no image among the files
  | "mixed-inputs" // {got}: images of several kinds at once
  | "several-patients" // {got}: slices of several folders
  | "file-too-large" // {file, most, got} bytes
  | "file-unreadable" // {file, got}
  | "image-unknown" // {file, got}: no format that is read
  | "image-damaged" // {file, expected, got}
  | "image-truncated" // {file, got}
  | "image-size" // {file, least, most, got}: sides in pixels
  | "image-kind" // {file, expected, got}: 16 bits, palette, CMYK, several pages, turned, transparent, ...
  | "image-grey" // {file}: one channel where three are needed
  | "slices-differ" // {file, expected, got}: sizes of a patient's slices
  | "slices-numbers" // {file, got}: two slices with one number, or some without
  | "slices-missing" // {got}: numbers that a patient's slices lack
  | "too-many-slices" // {most, got}
  // studies
  | "nifti-damaged" // {file, expected, got}
  | "nifti-kind" // {file, expected, got}: several volumes, colours, Analyze, too many voxels
  | "dicom-damaged" // {file, expected, got}
  | "dicom-syntax" // {file, got}: a transfer syntax that the page does not decode; the study command does
  | "dicom-kind" // {file, expected, got}: no MR image, no grey image, not 16 bits
  | "geometry" // {series, expected, got}: spacing, orientation, gaps, tilt
  | "several-studies" // {got}
  | "roles-unknown" // {got}: no series is known to be FLAIR, or pre and post cannot be told apart
  | "roles-several" // {role, got}: several series could be it
  | "roles-twice" // {series}: chosen for two roles
  | "series-modality" // {series, expected, got}: chosen by hand, and not MR
  | "grids-differ" // {series}: on another grid than FLAIR; registration is the study command's
  | "series-values" // {series, expected, got}: blank, not finite, standardised
  // segmentation
  | "not-loaded" // {}: no bundle was loaded
  | "model-failed" // {got}: onnxruntime could not load or run the model
  | "out-of-memory" // {got}
  | "cancelled" // {}
  // results
  | "output-kind"; // {expected, got}: a DICOM SEG of something that is no DICOM study

export type Values = Readonly<Record<string, string | number>>;

/**
 * What is wrong, by code, with the values that its words need.
 *
 * The message is for logs and tests only; no value holds a patient's name or identifier, or a folder's name.
 */
export class Fault extends Error {
  override readonly name = "Fault";

  constructor(
    readonly code: FaultCode,
    readonly values: Values = {},
    options?: ErrorOptions,
  ) {
    super(`${code}: ${JSON.stringify(values)}`, options);
  }

  /** As it crosses from a worker. */
  toJSON(): { code: FaultCode; values: Values } {
    return { code: this.code, values: this.values };
  }

  /** The same fault with the file's name, for readers that see bytes alone. */
  named(file: string): Fault {
    return new Fault(this.code, { ...this.values, file }, { cause: this });
  }
}

/** A text of unknown origin as errors show it: printable ASCII, at most 80 characters. */
export function shown(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  const plain = text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return plain.length <= 80 ? plain : `${plain.slice(0, 77)}...`;
}
