import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** Runs a brainseg bundle: its golden cases, or a raw image. Legend: N slices, H rows, W columns. */
public final class Host {
    private static final String USAGE = """
        usage: java Host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --golden DIR [--json]
               java Host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --image FILE --height H --width W [--slices N]
                         --mask OUT [--probability OUT] [--json]""";
    private static final List<String> IMAGE = List.of("image", "height", "width", "mask");
    private static final Set<String> NAMES = Set.of(
        "golden", "image", "height", "width", "slices", "mask", "probability", "variant", "digest", "library");

    private Host() {}

    private static final class UsageFault extends RuntimeException {
        UsageFault(String message) {
            super(message);
        }
    }

    /** Exit code 0: good; 1: a fault; 2: wrong usage. */
    public static void main(String[] arguments) {
        try {
            run(options(arguments));
            System.exit(0);
        } catch (UsageFault error) {
            System.err.println(error.getMessage() + "\n" + USAGE);
            System.exit(2);
        } catch (Exception | LinkageError | OutOfMemoryError error) { // the process's edge: whatever it was, no answer was given
            Throwable told = error instanceof Fault ? error
                : new Fault("the run failed", "a bundle as its maker wrote it, and enough memory", error, "see the message");
            System.err.println("error: " + told.getMessage());
            System.exit(1);
        }
    }

    private static void run(Map<String, String> options) throws IOException {
        long start = System.nanoTime();
        String variant = options.getOrDefault("variant", "fp32");
        Bundle bundle = new Bundle(Path.of(options.get("bundle")), variant, options.get("digest"));
        Onnx model = new Onnx(options.getOrDefault("library", "onnxruntime"), bundle.model);
        ObjectNode report = Bundle.JSON.createObjectNode().put("host", "java").put("onnxruntime", model.version);
        report.putObject("bundle").put("name", bundle.name).put("version", bundle.version).put("digest", bundle.digest);
        report.put("variant", variant);
        report.setAll(options.containsKey("golden") ? golden(Path.of(options.get("golden")), bundle, variant, model) : segment(options, bundle, model));
        boolean ok = StreamSupport.stream(report.path("cases").spliterator(), false).allMatch(each -> each.path("within").asBoolean());
        report.put("seconds", (System.nanoTime() - start) / 1e9).put("ok", ok);
        report.fields().forEachRemaining(options.containsKey("json") ? each -> { } : each -> System.out.println(each.getKey() + ": " + each.getValue()));
        System.out.print(options.containsKey("json") ? report.toPrettyString() + "\n" : "");
        if (System.out.checkError()) {
            throw new Fault("the report cannot be written", "a standard output that takes it", "an error", "free space there");
        }
        if (!ok) {
            throw new Fault("golden cases are answered otherwise here", "every case within the manifest's tolerance", "cases beyond it",
                "do not use this machine; try another release of onnxruntime");
        }
    }

    private static Map<String, String> options(String[] arguments) {
        Map<String, String> options = new LinkedHashMap<>();
        for (int k = 0; k < arguments.length; k++) {
            String word = arguments[k];
            String name = word.startsWith("-") ? word.replaceFirst("^--", "") : "bundle";
            if (word.startsWith("-") && !name.equals("json") && !NAMES.contains(name)) {
                throw new UsageFault("unknown option " + word);
            }
            if (NAMES.contains(name)) {
                word = ++k < arguments.length && !arguments[k].startsWith("-") ? arguments[k] : "";
            }
            if (word.isEmpty() || options.put(name, word) != null) {
                throw new UsageFault(name + " is given once, with a value");
            }
        }
        check(options);
        return options;
    }

    private static void check(Map<String, String> options) {
        Set<String> given = options.keySet();
        if (!given.contains("bundle")) {
            throw new UsageFault("expected a BUNDLE");
        }
        boolean mixed = Stream.concat(IMAGE.stream(), Stream.of("slices", "probability")).anyMatch(given::contains);
        if (given.contains("golden") ? mixed : !given.containsAll(IMAGE)) {
            throw new UsageFault("give either --golden, or --image, --height, --width and --mask");
        }
        for (String name : List.of("height", "width", "slices")) {
            if (!options.getOrDefault(name, "1").matches("[1-9][0-9]{0,5}")) {
                throw new UsageFault("--" + name + " is a number from 1 to 999999");
            }
        }
        if (!options.getOrDefault("digest", "0".repeat(64)).matches("(sha256:)?[0-9a-fA-F]{64}")) {
            throw new UsageFault("--digest takes 64 hexadecimal digits");
        }
        options.computeIfPresent("digest", (name, digest) -> digest.substring(digest.length() - 64).toLowerCase(java.util.Locale.ROOT));
        List<Path> paths = Stream.of("image", "library", "mask", "probability").filter(given::contains).map(name -> place(Path.of(options.get(name)))).toList();
        Path folder = place(Path.of(options.get("bundle"), "manifest.json")).getParent();
        if (Set.copyOf(paths).size() < paths.size() || Stream.of("mask", "probability").filter(given::contains).anyMatch(name -> folder.equals(place(Path.of(options.get(name))).getParent()))) {
            throw new UsageFault("an output would be written over another file of this run, or into the bundle");
        }
    }

    /** The one path of a file in its folder, whichever links lead there; the file need not exist. */
    private static Path place(Path path) {
        Path whole = path.toAbsolutePath().normalize();
        try {
            return path.toAbsolutePath().getParent().toRealPath().resolve(whole.getFileName());
        } catch (IOException error) {
            return whole; // a folder that is not there is told of when it is used
        }
    }

    /** Images with the answers that they must give: how far the model's are from them. */
    private static ObjectNode golden(Path folder, Bundle bundle, String variant, Onnx model) throws IOException {
        JsonNode index = Bundle.parse(Bundle.read(folder.resolve("index.json"), Bundle.MAX_JSON), "index.json", "brainseg/golden/1");
        JsonNode digest = index.required("bundle").required("digest");
        if (!bundle.digest.equals(digest.textValue())) {
            throw new Fault("the golden cases are another bundle's", bundle.digest, Bundle.shown(digest), "write them again: brainseg verify BUNDLE --write-golden DIR");
        }
        ObjectNode result = Bundle.JSON.createObjectNode();
        ArrayNode cases = result.putArray("cases");
        if (!index.required("cases").isArray()) {
            throw new Fault("index.json is wrong", "a list of cases", Bundle.shown(index.required("cases")));
        }
        for (JsonNode entry : index.required("cases")) {
            if (Bundle.object(entry.required("variants"), "variants").has(variant)) {
                cases.add(compare(folder, entry, bundle, entry.required("variants").required(variant), model));
            }
        }
        if (cases.isEmpty()) {
            throw new Fault("there are no golden cases of the variant", variant, "none", "check another variant");
        }
        return result;
    }

    private static ObjectNode compare(Path folder, JsonNode entry, Bundle bundle, JsonNode answer, Onnx model) throws IOException {
        JsonNode shape = entry.required("image").required("shape");
        int count = Bundle.whole(shape.required(0), "N", 1, 64);
        int height = Bundle.whole(shape.required(1), "H", bundle.least, bundle.most);
        int width = Bundle.whole(shape.required(2), "W", bundle.least, bundle.most);
        long total = (long) count * height * width;
        byte[] images = array(folder, entry.required("image"), "uint8", 3 * total, count, height, width, 3);
        byte[] masks = array(folder, answer.required("mask"), "uint8", total, count, height, width);
        ByteBuffer expected = ByteBuffer.wrap(array(folder, answer.required("probability"), "float32", 4 * total, count, height, width)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] mask = new byte[(int) total];
        float[] probability = new float[(int) total];
        model.run(images, count, height, width, mask, probability);
        double worst = 0;
        long different = 0;
        for (int k = 0; k < total; k++) {
            worst = Math.max(worst, Math.abs((double) probability[k] - expected.getFloat())); // NaN stays NaN
            different += mask[k] == masks[k] ? 0 : 1;
        }
        boolean within = worst <= bundle.probabilityTolerance && different <= bundle.maskTolerance * total;
        return Bundle.JSON.createObjectNode().put("name", Bundle.text(entry.required("name"), "name")).put("max_probability_difference", worst)
            .put("mask_pixels_different", different).put("within", within);
    }

    private static byte[] array(Path folder, JsonNode entry, String dtype, long bytes, int... lengths) throws IOException {
        JsonNode shape = entry.required("shape");
        if (!dtype.equals(entry.required("dtype").textValue()) || bytes > Bundle.MAX_TOTAL || shape.size() != lengths.length) {
            throw new Fault("a golden array is wrong", dtype + " of at most 1 GiB and " + lengths.length + " axes", Bundle.shown(entry));
        }
        for (int k = 0; k < lengths.length; k++) {
            Bundle.whole(shape.required(k), "a golden array's shape", lengths[k], lengths[k]);
        }
        return Bundle.verified(folder.resolve(Bundle.fileName(Bundle.text(entry.required("file"), "file"))), bytes, entry.required("sha256"));
    }

    /** A raw image file in, masks out, and probabilities if they are wanted. */
    private static ObjectNode segment(Map<String, String> options, Bundle bundle, Onnx model) throws IOException {
        int height = Integer.parseInt(options.get("height"));
        int width = Integer.parseInt(options.get("width"));
        int count = Integer.parseInt(options.getOrDefault("slices", "1"));
        if (Math.min(height, width) < bundle.least || Math.max(height, width) > bundle.most) {
            throw new Fault("the image's size is wrong", bundle.least + " to " + bundle.most + " a side", height + " by " + width, "resample it");
        }
        long total = (long) count * height * width;
        if (3 * total > Bundle.MAX_TOTAL) {
            throw new Fault("the image is too large", "at most 1 GiB", 3 * total + " bytes", "split it");
        }
        byte[] images = Bundle.read(Path.of(options.get("image")), 3 * total);
        if (images.length != 3 * total) {
            throw new Fault("the image file's size is wrong", 3 * total + " bytes", images.length + " bytes", "check --height, --width and --slices");
        }
        byte[] mask = new byte[(int) total];
        float[] probability = new float[(int) total];
        model.run(images, count, height, width, mask, probability);
        Map<Path, byte[]> outputs = new LinkedHashMap<>(Map.of(Path.of(options.get("mask")), mask));
        if (options.containsKey("probability")) {
            ByteBuffer bytes = ByteBuffer.allocate(4 * (int) total).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(probability);
            outputs.put(Path.of(options.get("probability")), bytes.array());
        }
        Bundle.writeWhole(outputs);
        long tumour = 0;
        for (byte pixel : mask) {
            tumour += pixel;
        }
        ObjectNode result = Bundle.JSON.createObjectNode().put("slices", count).put("tumour_pixels", tumour);
        ArrayNode warnings = result.putArray("warnings");
        if (bundle.squeezes && 3 * Math.max(height, width) > 4 * Math.min(height, width)) {
            warnings.add("the bundle squeezes images to a square, which costs accuracy: pad this one with zeros to a square");
        }
        return result;
    }
}
