// A bundle's folder, read once: the digest is checked before the manifest is parsed, and every listed file is hashed.
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'

export const MAX_JSON_BYTES = 1 << 20
export const MAX_TOTAL_BYTES = 1 << 30
const MAX_FILE_BYTES = 1 << 29
const MAX_FILES = 32
const MAX_DEPTH = 32
// No folders, no dot at either end, no device of Windows: such a name cannot lead out of the bundle.
const FILE_NAME = /^(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/i
// Where the manifest states no tolerance: float32 rounded in another order, and not one pixel of the mask.
const EXACT = { probability: 1e-4, mask: 0 }
const CONTRACT = {
  input: { name: 'image', dtype: 'uint8', shape: ['N', 'H', 'W', '3'] },
  outputs: [{ name: 'mask', dtype: 'uint8', shape: ['N', 'H', 'W'] }, { name: 'probability', dtype: 'float32', shape: ['N', 'H', 'W'] }],
}

/** A named fault (exit code 1): what, expected, got and remedy. */
export class Fault extends Error {
  constructor(what, expected, got, remedy = 'get it again') {
    super(`${what}; expected ${expected}; got ${got}; ${remedy}`)
  }
}

/** A value in an error: cut off, with nothing that a terminal would obey. */
export function shown(value) {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200).replace(/[^\x20-\x7e]/g, '?')
}

/** A verified bundle, and the one variant that is to run; without a pinned digest any intact one passes. */
export function openBundle(folder, variant, pinned) {
  const data = readCapped(`${folder}/manifest.json`, MAX_JSON_BYTES)
  const digest = sha256(data)
  if (pinned !== undefined && pinned !== digest) throw new Fault('the bundle is not the pinned one', pinned, digest, 'load the bundle that was approved')
  const { name, version, contract, files: listed, variants, training } = parseJson(data, 'manifest.json', 'brainseg/bundle/1')
  for (const each of [name, version]) if (typeof each !== 'string') throw new Fault('name or version is wrong', 'a text', shown(each))
  if (!isDeepStrictEqual({ input: contract?.input, outputs: contract?.outputs }, CONTRACT)) {
    throw new Fault('the contract is not the one that this host knows', shown(CONTRACT), shown(contract))
  }
  const { max_batch: batch, min_side: least, max_side: most } = contract.limits ?? {}
  whole(batch, 'max_batch', 1, 64) // kept by running one image at a time
  whole(least, 'min_side', 16, 2048)
  whole(most, 'max_side', least, 2048)
  const files = readFiles(folder, listed)
  const chosen = member(variants, variant)
  if (chosen === undefined) throw new Fault('the bundle has no such variant', `one of ${shown(Object.keys(variants ?? {}))}`, shown(variant), 'name another')
  const model = files.get(chosen?.file)
  if (model === undefined) throw new Fault("the variant's file is not listed", shown([...files.keys()]), shown(chosen))
  if (!isObject(chosen.tolerances) || !isObject(training)) throw new Fault('tolerances or training is wrong', 'objects', shown([chosen.tolerances, training]))
  const { default: usual = EXACT, cpu: tolerance = usual } = chosen.tolerances
  for (const each of [tolerance?.probability, tolerance?.mask]) {
    if (!(typeof each === 'number' && each >= 0 && each <= 1)) throw new Fault('a tolerance in manifest.json is wrong', '0 to 1', shown(tolerance))
  }
  return { name, version, digest, model, least, most, tolerance, squeezes: !(typeof training.aspect_ratio === 'string' && training.aspect_ratio.startsWith('kept')) }
}

/** Every listed file is checked, not only the model; sizes first, so that nothing is read for a list that is too long. */
function readFiles(folder, listed) {
  if (!isObject(listed)) throw new Fault('files in manifest.json are wrong', 'an object', shown(listed))
  const total = Object.entries(listed).reduce((sum, [name, entry]) => sum + whole(entry?.bytes, checkName(name), 0, MAX_FILE_BYTES), 0)
  if (Object.keys(listed).length > MAX_FILES || total > MAX_TOTAL_BYTES) throw new Fault('the bundle is too large', '32 files, 1 GiB', `${total} bytes`)
  return new Map(Object.entries(listed).map(([name, entry]) => [name, readVerified(`${folder}/${name}`, entry.bytes, entry.sha256)]))
}

/** A regular file's bytes, read once; links, devices and files beyond the cap are refused. */
export function readCapped(path, limit) {
  const refused = (got) => new Fault(`${path} cannot be read`, 'a regular file that is not a link', got, 'give another file')
  let file
  try {
    if (lstatSync(path).isSymbolicLink()) throw refused('a link') // Windows has neither of the two flags
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    const found = fstatSync(file)
    if (!found.isFile()) throw refused('something else')
    if (found.size > limit) throw new Fault(`${path} is too large`, `at most ${limit} bytes`, `${found.size} bytes`)
    const data = Buffer.alloc(found.size)
    let at = 0
    for (let count; at < data.length && (count = readSync(file, data, at, data.length - at, at)) > 0; at += count);
    return data.subarray(0, at)
  } catch (error) {
    throw error instanceof Fault ? error : refused(error.code)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex')
}

/** A file's bytes, of the size and SHA-256 stated. */
export function readVerified(path, size, digest) {
  const data = readCapped(path, size)
  const found = sha256(data)
  if (data.length !== size || found !== digest) {
    throw new Fault(`${path} is not the file that was listed`, `${size} bytes with SHA-256 ${shown(digest)}`, `${data.length} bytes with ${found}`)
  }
  return data
}

/** JSON of a schema: UTF-8, no key twice, at most 32 levels. */
export function parseJson(data, what, schema) {
  let value
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
    value = JSON.parse(text)
    checkKeys(text)
  } catch (error) {
    throw new Fault(`${what} cannot be read`, 'JSON in UTF-8, each key once, 32 levels at most, finite numbers', shown(error.message))
  }
  if (!isObject(value) || value.schema !== schema) throw new Fault(`${what} has an unknown schema`, schema, shown(value?.schema), 'use a host of the same release')
  return value
}

/** What `JSON.parse` lets pass in valid JSON: a key twice (readers differ in which one they take), any depth, numbers beyond all, half a surrogate pair. */
function checkKeys(text) {
  const objects = []
  let last
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]|-?[0-9][0-9.eE+-]*/g)) {
    if (token === '{' || token === '[') objects.push(new Set())
    else if (token === '}' || token === ']') objects.pop()
    else if (token === ':' && objects.at(-1).size === objects.at(-1).add(JSON.parse(last)).size) throw new Error('a key is repeated')
    if (objects.length > MAX_DEPTH) throw new Error('too many levels')
    if (token.startsWith('"') && /\p{Surrogate}/u.test(JSON.parse(token))) throw new Error('half of a surrogate pair')
    if (/^[-0-9]/.test(token) && !Number.isFinite(Number(token))) throw new Error('a number is too large')
    last = token
  }
}

export function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object's own member: a name such as `constructor` finds nothing. */
function member(object, name) {
  return isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined
}

/** A whole number within limits. */
export function whole(value, name, low, high) {
  if (!Number.isInteger(value) || value < low || value > high) throw new Fault(`${name} is wrong`, `${low} to ${high}`, shown(value))
  return value
}

export function checkName(name) {
  if (typeof name !== 'string' || !FILE_NAME.test(name)) throw new Fault("a file's name is wrong", '1 to 64 letters, digits and . _ -', shown(name))
  return name
}

/** Write files that appear together, each whole, when all of them are on the disk; otherwise none does. */
export function writeWhole(outputs) {
  const made = outputs.map(([path]) => `${path}.${randomBytes(6).toString('hex')}`)
  try {
    outputs.forEach(([path, data], at) => {
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) throw Object.assign(new Error(), { code: 'a folder, or no file' })
      const file = openSync(made[at], 'wx')
      try {
        writeFileSync(file, data)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    })
    outputs.forEach(([path], at) => renameSync(made[at], path))
  } catch (error) {
    throw new Fault(`${outputs.map(([path]) => path).join(', ')} cannot be written`, 'an existing, writable folder with space', error.code, 'give another place')
  } finally {
    for (const each of made) rmSync(each, { force: true })
  }
}
