#!/usr/bin/env node
// Runs a brainseg bundle in Node.js: verifies its files, compares the golden cases, segments raw slices.
import { readSync, readlinkSync, realpathSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { checkName, Fault, isObject, MAX_JSON_BYTES, MAX_TOTAL_BYTES, openBundle, parseJson, readCapped, readVerified, shown, whole, writeWhole } from './bundle.js'

const USAGE = `usage: node host.js BUNDLE [--variant NAME] [--digest HEX] --golden DIR [--json]
       node host.js BUNDLE [--variant NAME] [--digest HEX] --image FILE --height H --width W [--slices N]
                    --mask OUT [--probability OUT] [--json]
`
const NAMES = ['variant', 'digest', 'golden', 'image', 'height', 'width', 'slices', 'mask', 'probability']

class Usage extends Error {}

async function main(words) {
  const options = parseArguments(words)
  const began = process.hrtime.bigint()
  const bundle = openBundle(options.bundle, options.variant, options.digest)
  process.env.ORT_DISABLE_TELEMETRY ??= '1' // official builds report to their maker by default
  const { loadModel, run, VERSION } = await import('./model.js') // onnxruntime is loaded for a bundle that is whole
  const session = await loadModel(bundle.model)
  const answer = (...image) => run(session, ...image)
  const found = options.golden === undefined ? await segment(bundle, answer, options) : await compareGolden(bundle, answer, options)
  const { name, version, digest } = bundle
  const ok = (found.cases ?? []).every(({ within }) => within)
  const report = { host: 'node', onnxruntime: VERSION, bundle: { name, version, digest }, variant: options.variant, ...found,
    seconds: Number(process.hrtime.bigint() - began) / 1e9, ok }
  tell(report, options.json)
  if (!ok) throw new Fault('golden cases are answered otherwise here', "every case within the manifest's tolerance", 'cases beyond it',
    'do not use this machine; try another release of onnxruntime')
}

/** Options by name, numbers as numbers. */
function parseArguments(words) {
  let found
  try {
    const options = { json: { type: 'boolean' }, ...Object.fromEntries(NAMES.map((name) => [name, { type: 'string' }])) }
    found = parseArgs({ args: words, options, allowPositionals: true, tokens: true })
  } catch (error) {
    throw new Usage(error.message)
  }
  const names = found.tokens.filter(({ kind }) => kind === 'option').map(({ name }) => name)
  const options = { variant: 'fp32', slices: '1', ...found.values, bundle: found.positionals[0] }
  if (found.positionals.length !== 1) throw new Usage('expected one BUNDLE')
  if (Object.values(options).some((each) => each === '' || each === '-') || new Set(names).size !== names.length) throw new Usage('each option is given once, with a value')
  if (found.tokens.some(({ kind, inlineValue }) => kind === 'option-terminator' || inlineValue)) throw new Usage('an option and its value are two words')
  const ofImages = ['image', 'height', 'width', 'mask']
  if (names.includes('golden') ? [...ofImages, 'slices', 'probability'].some((name) => names.includes(name)) : !ofImages.every((name) => names.includes(name))) {
    throw new Usage('give either --golden, or --image, --height, --width and --mask')
  }
  for (const name of ['height', 'width', 'slices'].filter((each) => each in options)) {
    if (!/^[1-9][0-9]{0,5}$/.test(options[name])) throw new Usage(`--${name} is a number from 1 to 999999`)
    options[name] = Number(options[name])
  }
  if (options.digest !== undefined && !/^(?:sha256:)?[0-9a-fA-F]{64}$/.test(options.digest)) throw new Usage('--digest takes 64 hexadecimal digits')
  options.digest = options.digest?.slice(-64).toLowerCase()
  const files = ['image', 'mask', 'probability'].filter((name) => name in options).map((name) => place(options[name]))
  const bundle = dirname(place(`${options.bundle}/manifest.json`))
  if (new Set(files).size !== files.length || files.slice(1).some((file) => dirname(file) === bundle)) {
    throw new Usage('an output would be written over another file of this run, or into the bundle')
  }
  return options
}

/** The one path of a file in its folder, whichever links lead there; the file need not exist. */
function place(path) {
  try {
    return join(realpathSync.native(dirname(path)), basename(path)) // the system's own: others drop `..` before links are followed
  } catch {
    return resolve(path) // a folder that is not there is told of when it is used
  }
}

/** Every case that the variant answers, compared within the tolerance that the manifest states. */
async function compareGolden(bundle, answer, { golden, variant }) {
  const index = parseJson(readCapped(`${golden}/index.json`, MAX_JSON_BYTES), 'index.json', 'brainseg/golden/1')
  if (index.bundle?.digest !== bundle.digest) {
    throw new Fault("the golden cases are another bundle's", bundle.digest, shown(index.bundle?.digest), 'write them again')
  }
  if (!Array.isArray(index.cases) || !index.cases.every((each) => isObject(each?.variants))) {
    throw new Fault('index.json is wrong', 'a list of cases with their variants', shown(index.cases), 'write it again')
  }
  const answered = index.cases.filter(({ variants }) => Object.hasOwn(variants, variant))
  if (answered.length === 0) throw new Fault(`there are no golden cases of ${shown(variant)}`, 'one at least', 'none', 'check another variant')
  const cases = []
  for (const each of answered) cases.push(await compare(bundle, answer, golden, each, variant))
  return { cases }
}

async function compare({ least, most, tolerance }, answer, folder, { name, image, variants }, variant) {
  const [n, height, width] = Array.isArray(image?.shape) ? image.shape : []
  whole(n, 'N', 1, 64)
  for (const side of [height, width]) whole(side, 'a side', least, most)
  const pixels = readArray(folder, image, 'uint8', [n, height, width, 3], 1)
  const expected = readArray(folder, variants[variant].mask, 'uint8', [n, height, width], 1)
  const bytes = readArray(folder, variants[variant].probability, 'float32', [n, height, width], 4)
  if (typeof name !== 'string') throw new Fault('index.json is wrong', 'a name for each case', shown(name))
  const { mask, probability } = await answer(pixels, n, height, width)
  let furthest = 0
  let different = 0
  for (let at = 0; at < mask.length; at++) {
    const distance = Math.abs(probability[at] - bytes.readFloatLE(4 * at))
    if (!(distance <= furthest)) furthest = distance // NaN stays, and is within no tolerance
    if (mask[at] !== expected[at]) different++
  }
  const within = furthest <= tolerance.probability && different <= tolerance.mask * mask.length
  return { name, max_probability_difference: furthest, mask_pixels_different: different, within }
}

/** A golden array's bytes, which are those of a shape, and hashed as the index says. */
function readArray(folder, entry, dtype, shape, bytes) {
  const size = shape.reduce((product, each) => product * each, bytes)
  if (entry?.dtype !== dtype || !isDeepStrictEqual(entry.shape, shape) || size > MAX_TOTAL_BYTES) {
    throw new Fault('index.json is wrong', `a ${dtype} array of the shape ${shown(shape)}`, shown(entry), 'write it again')
  }
  return readVerified(`${folder}/${checkName(entry.file)}`, size, entry.sha256)
}

/** A raw image file to a raw mask, and to probabilities if they are wanted. */
async function segment({ least, most, squeezes }, answer, { image, slices, height, width, mask, probability }) {
  const sides = [Math.min(height, width), Math.max(height, width)]
  if (sides[0] < least || sides[1] > most) throw new Fault("the image's size is wrong", `${least} to ${most} a side`, `${height} x ${width}`, 'resample it')
  const size = slices * height * width * 3
  if (size > MAX_TOTAL_BYTES) throw new Fault('the image is too large', 'at most 1 GiB', `${size} bytes`, 'split it')
  const pixels = readCapped(image, size)
  if (pixels.length !== size) throw new Fault("the image file's size is wrong", `${size} bytes`, `${pixels.length} bytes`, 'check --height, --width and --slices')
  const found = await answer(pixels, slices, height, width)
  const outputs = [[mask, found.mask], [probability, new Uint8Array(found.probability.buffer)]]
  writeWhole(outputs.filter(([path]) => path !== undefined))
  const warnings = squeezes && 3 * sides[1] > 4 * sides[0]
    ? ['the bundle squeezes images to a square, which costs accuracy: pad this one with zeros to a square'] : []
  return { slices, tumour_pixels: found.mask.reduce((sum, each) => sum + each, 0), warnings }
}

/** Write the report to its end or with a fault: `process.stdout` hides that nobody takes it. */
function tell(report, json) {
  const text = json ? JSON.stringify(report, null, 2) : Object.entries(report).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join('\n')
  try {
    if (json && outputIsClosed()) throw Object.assign(new Error(), { code: 'a closed one' })
    const data = Buffer.from(`${text}\n`)
    for (let at = 0; at < data.length; at += writeSync(1, data, at));
  } catch (error) {
    throw new Fault('the report cannot be written', 'a standard output that takes it', error.code, 'open it, or free space there')
  }
}

/** Whether standard output was closed: Node.js puts the null device there, and opens it for reading too. Linux alone tells. */
function outputIsClosed() {
  try {
    return readlinkSync('/proc/self/fd/1') === '/dev/null' && readSync(1, Buffer.alloc(1)) === 0
  } catch {
    return false // no such device, or one that takes a report alone
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const told = error instanceof Usage || error instanceof Fault ? error
    : new Fault('the run failed', 'a bundle as its maker wrote it, and enough memory', error.message, 'see the message')
  process.stderr.write(error instanceof Usage ? `${told.message}\n${USAGE}` : `error: ${told.message}\n`)
  process.exitCode = error instanceof Usage ? 2 : 1
}
