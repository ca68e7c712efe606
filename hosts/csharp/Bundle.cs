// A bundle's folder, read once: the digest is checked before the manifest is parsed, and every listed file is hashed.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Object = System.Collections.Generic.Dictionary<string, object>;

/// <summary>A named fault (exit code 1): what, expected, got and remedy.</summary>
sealed class Fault : Exception
{
    public Fault(string what, object expected, object got, string remedy = "get it again")
        : base(what + "; expected " + expected + "; got " + got + "; " + remedy) { }
}

static class Files
{
    public const int MaxJson = 1 << 20, MaxFile = 1 << 29, MaxTotal = 1 << 30; // bytes
    static readonly Regex Name = new Regex(@"^(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

    /// <summary>A regular file's bytes, read once; links, devices and files beyond the limit are refused.</summary>
    public static byte[] Read(string path, long limit)
    {
        var file = new FileInfo(path);
        if (!file.Exists || (file.Attributes & FileAttributes.ReparsePoint) != 0 || !Native.IsRegular(file.FullName))
            throw new Fault(path + " cannot be read", "a regular file that is not a link", file.Exists ? "something else" : "none", "give another file");
        using (var stream = file.OpenRead())
        {
            if (stream.Length > limit) throw new Fault(path + " is too large", "at most " + limit + " bytes", stream.Length + " bytes");
            var data = new byte[stream.Length];
            var filled = 0;
            for (int n; filled < data.Length && (n = stream.Read(data, filled, data.Length - filled)) > 0; filled += n) { }
            if (filled < data.Length) throw new Fault(path + " changed while it was read", data.Length + " bytes", filled + " bytes");
            return data;
        }
    }

    /// <summary>A name that is a file's in the folder itself: no separators, no leading dot, no Windows device.</summary>
    public static string CheckName(string name)
    {
        if (!Name.IsMatch(name)) throw new Fault("a file's name is wrong", "1 to 64 letters, digits and . _ -", Json.Write(name.Substring(0, Math.Min(80, name.Length))));
        return name;
    }

    public static string Sha256(byte[] data)
    {
        using (var hash = SHA256.Create()) return string.Concat(hash.ComputeHash(data).Select(b => b.ToString("x2")));
    }

    /// <summary>A file's bytes, of the size and SHA-256 stated.</summary>
    public static byte[] Verified(string folder, string name, long bytes, string sha256)
    {
        var data = Read(Path.Combine(folder, CheckName(name)), bytes);
        if (data.Length != bytes || Sha256(data) != sha256)
            throw new Fault(name + " is not the file that was listed", bytes + " bytes with SHA-256 " + Json.Write(sha256), data.Length + " bytes with " + Sha256(data));
        return data;
    }

    /// <summary>Files that appear together, each whole, when all of them are on the disk; otherwise none does.</summary>
    public static void WriteWhole(Dictionary<string, byte[]> outputs)
    {
        var made = outputs.Keys.ToDictionary(path => path, path => path + "." + Guid.NewGuid().ToString("N"));
        try
        {
            foreach (var output in outputs)
            {
                if (Directory.Exists(output.Key) || File.Exists(output.Key) && !Native.IsRegular(output.Key, true)) throw new IOException("it is a folder, or no file");
                using (var stream = new FileStream(made[output.Key], FileMode.CreateNew, FileAccess.Write))
                {
                    stream.Write(output.Value, 0, output.Value.Length);
                    stream.Flush(true);
                }
            }
            foreach (var path in outputs.Keys)
                if (File.Exists(path)) File.Replace(made[path], path, null); else File.Move(made[path], path);
        }
        catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
        {
            throw new Fault(string.Join(", ", outputs.Keys) + " cannot be written", "an existing, writable folder with space", error.Message, "give another place");
        }
        finally
        {
            foreach (var path in made.Values.Where(File.Exists)) File.Delete(path);
        }
    }
}

/// <summary>A verified bundle, and the one variant that is to run.</summary>
sealed class Bundle
{
    public readonly string Digest, Name, Version;
    public readonly byte[] Model;
    public readonly double ProbabilityTolerance, MaskTolerance; // of golden cases: a difference, and a fraction of the pixels
    public readonly int MinSide, MaxSide;
    public readonly bool Squeezes;

    public Bundle(string folder, string variant, string pinned)
    {
        var data = Files.Read(Path.Combine(folder, "manifest.json"), Files.MaxJson);
        Digest = Files.Sha256(data);
        if (pinned != null && pinned != Digest) throw new Fault("the bundle is not the pinned one", pinned, Digest, "use the bundle that was approved");
        var manifest = Json.Parse(data, "manifest.json", "brainseg/bundle/1");
        Name = Json.Get<string>(manifest, "name");
        Version = Json.Get<string>(manifest, "version");
        var limits = CheckContract(Json.Get<Object>(manifest, "contract"));
        Json.Whole(Json.Get<object>(limits, "max_batch"), "max_batch", 1, 64); // kept by running one image at a time
        MinSide = Json.Whole(Json.Get<object>(limits, "min_side"), "min_side", 16, 2048);
        MaxSide = Json.Whole(Json.Get<object>(limits, "max_side"), "max_side", MinSide, 2048);
        var files = ReadAll(folder, Json.Get<Object>(manifest, "files"));
        var variants = Json.Get<Object>(manifest, "variants");
        if (!variants.ContainsKey(variant)) throw new Fault("the bundle has no such variant", "one of " + Json.Write(variants.Keys), Json.Write(variant), "name another");
        var chosen = Json.Get<Object>(variants, variant);
        if (!files.TryGetValue(Json.Get<string>(chosen, "file"), out Model)) throw new Fault("the variant's file is not listed", Json.Write(files.Keys), Json.Write(chosen["file"]));
        // Where the manifest states no tolerance: float32 rounded in another order, and not one pixel of the mask.
        var exact = new Object { { "probability", 1e-4 }, { "mask", 0.0 } };
        var tolerances = Json.Get<Object>(chosen, "tolerances");
        var tolerance = tolerances.ContainsKey("cpu") ? Json.Get<Object>(tolerances, "cpu") : Json.Get(tolerances, "default", exact);
        ProbabilityTolerance = Json.Get<double>(tolerance, "probability");
        MaskTolerance = Json.Get<double>(tolerance, "mask");
        foreach (var each in new[] { ProbabilityTolerance, MaskTolerance })
            if (!(each >= 0 && each <= 1)) throw new Fault("a tolerance in manifest.json is wrong", "0 to 1", each);
        var aspect = Json.Get<object>(Json.Get<Object>(manifest, "training"), "aspect_ratio", null) as string;
        Squeezes = aspect == null || !aspect.StartsWith("kept", StringComparison.Ordinal);
    }

    /// <summary>Every listed file is checked, not only the model; sizes first, so that nothing is read for a list that is too long.</summary>
    static Dictionary<string, byte[]> ReadAll(string folder, Object listed)
    {
        var sizes = listed.ToDictionary(f => Files.CheckName(f.Key), f => (long)Json.Whole(Json.Get<object>(Json.As<Object>(f.Value, f.Key), "bytes"), "bytes", 0, Files.MaxFile));
        if (sizes.Count > 32 || sizes.Values.Sum() > Files.MaxTotal) throw new Fault("the bundle is too large", "32 files, 1 GiB", sizes.Count + " files, " + sizes.Values.Sum() + " bytes");
        return sizes.ToDictionary(f => f.Key, f => Files.Verified(folder, f.Key, f.Value, Json.Get<string>((Object)listed[f.Key], "sha256")));
    }

    static Object CheckContract(Object contract)
    {
        var tensors = new List<object> { Json.Get<Object>(contract, "input") }.Concat(Json.Get<List<object>>(contract, "outputs")).Select(t => Json.As<Object>(t, "a tensor"));
        var found = string.Join(", ", tensors.Select(t => Json.Write(t.Count > 3 ? (object)t : new[] { Json.Get<object>(t, "name"), Json.Get<object>(t, "dtype"), Json.Get<object>(t, "shape") })));
        const string wanted = "[\"image\", \"uint8\", [\"N\", \"H\", \"W\", \"3\"]], [\"mask\", \"uint8\", [\"N\", \"H\", \"W\"]], [\"probability\", \"float32\", [\"N\", \"H\", \"W\"]]";
        if (found != wanted) throw new Fault("the contract is not the one that this host knows", wanted, found.Substring(0, Math.Min(200, found.Length)));
        return Json.Get<Object>(contract, "limits");
    }
}
