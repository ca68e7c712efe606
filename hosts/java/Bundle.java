import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;

/** A bundle's folder, read once: the digest is checked before the manifest is parsed, and every listed file is hashed. */
final class Bundle {
    static final ObjectMapper JSON = JsonMapper.builder()
        .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION) // readers differ in which of two values they take
        .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
    static final int MAX_JSON = 1 << 20; // bytes, as the next two
    static final int MAX_FILE = 1 << 29;
    static final int MAX_TOTAL = 1 << 30;
    private static final String CONTRACT = """
        [{"name":"image","dtype":"uint8","shape":["N","H","W","3"]},[{"name":"mask","dtype":"uint8","shape":["N","H","W"]},\
        {"name":"probability","dtype":"float32","shape":["N","H","W"]}]]""";

    final String name;
    final String version;
    final String digest;
    final byte[] model;
    final int least; // pixels of a side, as the next
    final int most;
    final double probabilityTolerance; // of golden cases: a difference
    final double maskTolerance; // a fraction of the pixels
    final boolean squeezes;

    /** Opens a bundle for one variant; a pinned digest that is null lets any intact one pass. */
    Bundle(Path folder, String variant, String pinned) throws IOException {
        byte[] data = read(folder.resolve("manifest.json"), MAX_JSON);
        digest = sha256(data);
        if (pinned != null && !pinned.equals(digest)) {
            throw new Fault("the bundle is not the pinned one", pinned, digest, "use the bundle that was approved");
        }
        JsonNode manifest = parse(data, "manifest.json", "brainseg/bundle/1");
        name = text(manifest.required("name"), "name");
        version = text(manifest.required("version"), "version");
        JsonNode contract = manifest.required("contract");
        JsonNode found = JSON.createArrayNode().add(contract.required("input")).add(contract.required("outputs"));
        if (!found.equals(JSON.readTree(CONTRACT))) {
            throw new Fault("the contract is not the one that this host knows", CONTRACT, shown(found));
        }
        JsonNode limits = contract.required("limits");
        whole(limits.required("max_batch"), "max_batch", 1, 64); // kept by running one image at a time
        least = whole(limits.required("min_side"), "min_side", 16, 2048);
        most = whole(limits.required("max_side"), "max_side", least, 2048);
        Map<String, byte[]> files = readAll(folder, manifest.required("files"));
        JsonNode variants = manifest.required("variants");
        if (!variants.has(variant)) {
            throw new Fault("the bundle has no such variant", "one of " + shown(variants), variant, "name another");
        }
        JsonNode chosen = variants.required(variant);
        model = files.get(text(chosen.required("file"), "file"));
        if (model == null) {
            throw new Fault("the variant's file is not listed", files.keySet(), shown(chosen.required("file")));
        }
        // Where the manifest states no tolerance: float32 rounded in another order, and not one pixel of the mask.
        JsonNode exact = JSON.createObjectNode().put("probability", 1e-4).put("mask", 0.0);
        JsonNode tolerances = object(chosen.required("tolerances"), "tolerances");
        JsonNode tolerance = tolerances.has("cpu") ? tolerances.get("cpu") : tolerances.has("default") ? tolerances.get("default") : exact;
        probabilityTolerance = fraction(tolerance.required("probability"));
        maskTolerance = fraction(tolerance.required("mask"));
        squeezes = !object(manifest.required("training"), "training").path("aspect_ratio").asText().startsWith("kept");
    }

    /** Every listed file is checked, not only the model; sizes first, so that nothing is read for a list that is too long. */
    private static Map<String, byte[]> readAll(Path folder, JsonNode listed) throws IOException {
        Map<String, Integer> sizes = new LinkedHashMap<>();
        listed.fields().forEachRemaining(each -> sizes.put(fileName(each.getKey()), whole(each.getValue().required("bytes"), "bytes", 0, MAX_FILE)));
        long total = sizes.values().stream().mapToLong(Integer::longValue).sum();
        if (sizes.size() > 32 || total > MAX_TOTAL) {
            throw new Fault("the bundle is too large", "32 files, 1 GiB", sizes.size() + " files, " + total + " bytes");
        }
        Map<String, byte[]> files = new HashMap<>();
        for (String each : sizes.keySet()) {
            files.put(each, verified(folder.resolve(each), sizes.get(each), listed.required(each).required("sha256")));
        }
        return files;
    }

    /** A regular file's bytes, read once; links, devices and files beyond the limit are refused. */
    static byte[] read(Path path, long limit) throws IOException {
        if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
            throw new Fault(path + " cannot be read", "a regular file that is not a link", "something else, or none", "give another file");
        }
        try (InputStream stream = Files.newInputStream(path, LinkOption.NOFOLLOW_LINKS)) {
            byte[] data = stream.readNBytes((int) limit + 1);
            if (data.length > limit) {
                throw new Fault(path + " is too large", "at most " + limit + " bytes", "more");
            }
            return data;
        }
    }

    /** A file's bytes, of the size and SHA-256 stated. */
    static byte[] verified(Path path, long size, JsonNode digest) throws IOException {
        byte[] data = read(path, size);
        String found = sha256(data);
        if (data.length != size || !found.equals(digest.textValue())) {
            throw new Fault(path + " is not the file that was listed", size + " bytes with SHA-256 " + shown(digest), data.length + " bytes with " + found);
        }
        return data;
    }

    static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error); // every Java platform has it
        }
    }

    /** JSON of a schema: UTF-8, no key twice, at most 32 levels, nothing after it. */
    static JsonNode parse(byte[] data, String what, String schema) throws IOException {
        try {
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(data)).toString();
            try (JsonParser parser = JSON.createParser(text)) {
                int depth = 0;
                for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                    depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
                    if (depth > 32 || token.isNumeric() && Double.isInfinite(parser.getDoubleValue())) {
                        throw new Fault(what + " cannot be read", "at most 32 levels, and finite numbers", "more");
                    }
                    if ((token == JsonToken.FIELD_NAME || token == JsonToken.VALUE_STRING) && !StandardCharsets.UTF_8.newEncoder().canEncode(parser.getText())) {
                        throw new Fault(what + " cannot be read", "text in Unicode", "half of a surrogate pair");
                    }
                }
            }
            JsonNode value = JSON.readTree(text);
            if (!value.path("schema").asText().equals(schema)) {
                throw new Fault(what + " has an unknown schema", schema, shown(value.path("schema")), "use a host of the same release");
            }
            return value;
        } catch (CharacterCodingException | JsonProcessingException error) {
            throw new Fault(what + " cannot be read", "JSON in UTF-8, each key once", error.getClass().getSimpleName());
        }
    }

    /** A whole number from low to high. */
    static int whole(JsonNode value, String name, int low, int high) {
        double number = value.doubleValue(); // 0 of what is no number
        if (!value.isNumber() || number < low || number > high || number != Math.rint(number)) {
            throw new Fault(name + " is wrong", low + " to " + high, shown(value));
        }
        return (int) number;
    }

    static JsonNode object(JsonNode value, String name) {
        if (!value.isObject()) {
            throw new Fault(name + " is wrong", "an object", shown(value));
        }
        return value;
    }

    private static double fraction(JsonNode value) {
        if (!value.isNumber() || !(value.doubleValue() >= 0 && value.doubleValue() <= 1)) {
            throw new Fault("a tolerance in manifest.json is wrong", "0 to 1", shown(value));
        }
        return value.doubleValue();
    }

    static String text(JsonNode value, String name) {
        if (!value.isTextual()) {
            throw new Fault(name + " is wrong", "a text", shown(value));
        }
        return value.textValue();
    }

    /** A name that is a file's in the folder itself: no separators, no leading dot, no Windows device. */
    static String fileName(String name) {
        if (!name.matches("(?i)(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\\.|$))[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")) {
            throw new Fault("a file's name is wrong", "1 to 64 letters, digits and . _ -", shown(JSON.valueToTree(name)));
        }
        return name;
    }

    /** A value in an error: cut off, with nothing that a terminal would obey. */
    static String shown(JsonNode value) {
        String text = value.toString().replaceAll("[^ -~]", "?");
        return text.substring(0, Math.min(200, text.length()));
    }

    /** Writes files that appear together, each whole, when all of them are on the disk; otherwise none does. */
    static void writeWhole(Map<Path, byte[]> outputs) throws IOException {
        Map<Path, Path> made = new LinkedHashMap<>();
        try {
            for (Path path : outputs.keySet()) {
                if (Files.exists(path) && !Files.isRegularFile(path)) {
                    throw new IOException("it is a folder, or no file");
                }
                made.put(path, path.resolveSibling(path.getFileName() + "." + UUID.randomUUID()));
                try (FileChannel file = FileChannel.open(made.get(path), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
                    for (ByteBuffer data = ByteBuffer.wrap(outputs.get(path)); data.hasRemaining();) {
                        file.write(data);
                    }
                    file.force(true);
                }
            }
            for (Path path : outputs.keySet()) {
                Files.move(made.get(path), path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            }
        } catch (IOException error) {
            throw new Fault(outputs.keySet() + " cannot be written", "an existing, writable folder with space", error, "give another place");
        } finally {
            for (Path path : made.values()) {
                Files.deleteIfExists(path);
            }
        }
    }
}
