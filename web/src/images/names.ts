// What a file's name says about a slice: whether it is an image, a mask or a result, and its number in the volume.
//
//     <patient>/<patient>_<n>.tif         image; n counts from 0 or 1, zeros in front do not count
//               <patient>_<n>_mask.tif    its mask

const PICTURE = /\.(?:tiff?|png|jpe?g)$/i;
const MADE = /_(?:mask|probability|overlay)$/i;
/** At the end of a name, alone or after a separator; longer numbers are dates or identifiers. */
const NUMBER = /^(?:[\s\S]*[_\-. ])?0*([0-9]{1,9})$/;

export function isPictureName(name: string): boolean {
  return PICTURE.test(name);
}

/** A file's name without its suffix. */
export function stemOf(name: string): string {
  return name.replace(/\.[^.]*$/, "");
}

/** Whether a picture is a mask, or another result of an earlier run. */
export function isMade(name: string): boolean {
  return MADE.test(stemOf(name));
}

/**
 * Place in the volume, from the end of an image's name; undefined if it holds no number.
 *
 * @param folder The name of its folder; digits at the end of that are no slice's number.
 * @example sliceNumber("TCGA_CS_4941_19960909_12", "TCGA_CS_4941_19960909") // 12
 */
export function sliceNumber(stem: string, folder: string): number | undefined {
  const rest = stem.slice(folder.length);
  const belongs = stem.toLowerCase().startsWith(folder.toLowerCase()) && !/^[\p{L}\p{N}]/u.test(rest);
  const found = NUMBER.exec(belongs ? rest : stem)?.[1];
  return found === undefined ? undefined : Number(found);
}
