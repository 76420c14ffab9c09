// The verifier: an artifact runs only as it was made, with the key, the engine, the settings and the processor that it was made with.
// links: user/appd/verify.c user/appd/seal.c user/appd/digest.c lib/manifest.c lib/text.c lib/fmt.c lib/string.c /usr/lib/x86_64-linux-gnu/libbearssl.a
#include "user/appd/verify.h"

#include "lib/string.h"
#include "tests/unit/unit.h"
#include "user/appd/seal.h"

#define ARTIFACT_BYTES 18000u

static const struct digest key = {{1, 2, 3}}, other_key = {{1, 2, 4}}, module = {{7}}, other_module = {{8}};
static const struct engine_identity now = {"wasmtime 48.0.8", "0123456789abcdef", "x86-64-v3"};
static uint8_t artifact[ARTIFACT_BYTES + 1];
static char entry[ENTRY_MAX];

// The entry's length.
static size_t make(void) {
    for (unsigned i = 0; i < ARTIFACT_BYTES; i++) artifact[i] = (uint8_t)(i * 7 + i / 251);
    const struct artifact_entry e = {
        .module = module, .made = now, .size = ARTIFACT_BYTES, .artifact = digest_of(artifact, ARTIFACT_BYTES)};
    size_t bytes = artifact_entry_write(&e, &key, entry, sizeof entry);
    CHECK(bytes > 0);
    return bytes;
}

static enum verdict verify(size_t bytes) {
    return artifact_verify(&key, &module, &now, (struct text){entry, bytes}, artifact, ARTIFACT_BYTES);
}

TEST(as_it_was_made) { CHECK_EQ(verify(make()), VERDICT_VALID); }

TEST(every_byte_of_the_artifact) {
    size_t bytes = make();
    for (unsigned i = 0; i < ARTIFACT_BYTES; i++) {
        artifact[i] ^= (uint8_t)(1u << i % 8);
        CHECK_EQ(verify(bytes), VERDICT_ARTIFACT_CHANGED);
        artifact[i] ^= (uint8_t)(1u << i % 8);
    }
    CHECK_EQ(verify(bytes), VERDICT_VALID);
}

TEST(every_bit_of_the_entry) {
    size_t bytes = make();
    for (size_t i = 0; i < bytes * 8; i++) {
        entry[i / 8] ^= (char)(1u << i % 8);
        CHECK_EQ(verify(bytes), VERDICT_ENTRY_CHANGED);
        entry[i / 8] ^= (char)(1u << i % 8);
    }
    CHECK_EQ(verify(bytes), VERDICT_VALID);
}

TEST(longer_and_shorter) {
    size_t bytes = make();
    for (size_t n = 0; n < bytes; n++) CHECK_EQ(verify(n), VERDICT_ENTRY_CHANGED);
    entry[bytes] = '\n';
    CHECK_EQ(verify(bytes + 1), VERDICT_ENTRY_CHANGED);
    const struct text text = {entry, bytes};
    for (uint64_t n = 0; n <= ARTIFACT_BYTES + 1; n += n < 64 || n >= ARTIFACT_BYTES - 64 ? 1 : 97)
        CHECK_EQ(artifact_verify(&key, &module, &now, text, artifact, n), n == ARTIFACT_BYTES ? VERDICT_VALID : VERDICT_ARTIFACT_CHANGED);
}

TEST(another_key_module_engine_settings_processor) {
    const struct text text = {entry, make()};
    struct engine_identity other = now;
    CHECK_EQ(artifact_verify(&other_key, &module, &now, text, artifact, ARTIFACT_BYTES), VERDICT_ENTRY_CHANGED);
    CHECK_EQ(artifact_verify(&key, &other_module, &now, text, artifact, ARTIFACT_BYTES), VERDICT_OTHER_MODULE);
    other.engine[14] = '9';
    CHECK_EQ(artifact_verify(&key, &module, &other, text, artifact, ARTIFACT_BYTES), VERDICT_OTHER_ENGINE);
    other = now;
    other.settings[0] = '1';
    CHECK_EQ(artifact_verify(&key, &module, &other, text, artifact, ARTIFACT_BYTES), VERDICT_OTHER_SETTINGS);
    other = now;
    other.cpu[8] = '4';
    CHECK_EQ(artifact_verify(&key, &module, &other, text, artifact, ARTIFACT_BYTES), VERDICT_OTHER_CPU);
    other.cpu[8] = 0;
    CHECK_EQ(artifact_verify(&key, &module, &other, text, artifact, ARTIFACT_BYTES), VERDICT_OTHER_CPU);
}

// What somebody with the key would have to write by another name: fields that are missing, said twice or unknown.
TEST(a_seal_does_not_excuse_the_form) {
    static const char *const bodies[] = {
        "", "engine = a\n", "module = x\nengine = a\nsettings = b\ncpu = c\nsize = 1\nartifact = y\n",
    };
    char text[ENTRY_MAX];
    for (unsigned i = 0; i < ARRAY_SIZE(bodies); i++) {
        size_t bytes = strlen(bodies[i]);
        memcpy(text, bodies[i], bytes);
        bytes = seal_append(&key, "kpio artifact entry 1", text, bytes, sizeof text);
        CHECK_EQ(artifact_verify(&key, &module, &now, (struct text){text, bytes}, artifact, 1), VERDICT_ENTRY_CHANGED);
    }
}

TEST(purposes_are_kept_apart) {
    struct text body;
    const struct text text = {entry, make()};
    CHECK(seal_check(&key, "kpio artifact entry 1", text, &body));
    CHECK(!seal_check(&key, "kpio app record 1", text, &body));
    CHECK(!seal_check(&key, "kpio artifact entry ", text, &body));
}

TEST(identity) {
    struct engine_identity e = {.cpu = "x"};
    CHECK(engine_identity_parse(TEXT("engine = wasmtime 48.0.8\nsettings = ab\n"), &e));
    CHECK_EQ(strcmp(e.engine, "wasmtime 48.0.8"), 0);
    CHECK_EQ(strcmp(e.cpu, "x"), 0);
    CHECK(!engine_identity_parse(TEXT("engine = wasmtime 48.0.8\n"), &e));
    CHECK(!engine_identity_parse(TEXT("engine = a\nsettings = b\ncpu = c\n"), &e));
    CHECK(!engine_identity_parse(TEXT("engine = a\nsettings = b\nsettings = b\n"), &e));
    CHECK(!engine_identity_parse(TEXT("engine = 123456789012345678901234567890123456789012345678\nsettings = b\n"), &e));
}

// FIPS 180-4 and RFC 4231, test case 2 with the purpose before its text.
TEST(digests) {
    char hex[DIGEST_HEX];
    struct digest d = digest_of("abc", 3), back;
    digest_to_hex(&d, hex);
    CHECK_EQ(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), 0);
    CHECK(digest_from_hex(text_of(hex), &back));
    CHECK(digest_equal(&d, &back));
    hex[0] = 'B';
    CHECK(!digest_from_hex(text_of(hex), &back));
    CHECK(!digest_from_hex((struct text){hex, 63}, &back));
    struct digest a = digest_authenticate(&key, "x", TEXT("text")), b = digest_authenticate(&key, "xt", TEXT("ext"));
    CHECK(!digest_equal(&a, &b));
}
