// Reads any bytes as an app's manifest, as a record whose key is lost, and as an artifact's entry. What is taken comes back the same.
// links: user/appd/manifest.c user/appd/record.c user/appd/verify.c user/appd/seal.c user/appd/digest.c lib/manifest.c lib/text.c lib/fmt.c /usr/lib/x86_64-linux-gnu/libbearssl.a
#include <stdlib.h>
#include <string.h>

#include "user/appd/manifest.h"
#include "user/appd/record.h"
#include "user/appd/seal.h"
#include "user/appd/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct digest key = {{1}};

static void write_and_read(const struct app_record *record) {
    char text[RECORD_MAX], again[RECORD_MAX];
    struct app_record back;
    size_t bytes = app_record_write(record, &key, text, sizeof text);
    if (bytes == 0) return;
    if (!app_record_read(&key, (struct text){text, bytes}, &back)) abort();
    if (app_record_write(&back, &key, again, sizeof again) != bytes || memcmp(text, again, bytes) != 0) abort();
}

static void try_manifest(struct text whole) {
    struct app_record record = {0};
    struct app_flaw flaw;
    if (app_manifest_parse(whole, &record.manifest, &flaw)) write_and_read(&record);
    else if (flaw.reason == NULL) abort();
}

// With a seal of ours behind it, so that what lies behind the check is reached.
static void try_sealed(struct text whole) {
    char text[RECORD_MAX];
    struct app_record record;
    const struct engine_identity now = {"e", "s", "c"};
    if (whole.size > sizeof text - SEAL_BYTES - 1) return;
    memcpy(text, whole.data, whole.size);
    text[whole.size] = '\n';
    size_t bytes = seal_append(&key, "kpio app record 1", text, whole.size + 1, sizeof text);
    const struct text sealed = {text, bytes};
    if (app_record_salvage(sealed, &record)) write_and_read(&record);
    if (app_record_read(&key, sealed, &record)) write_and_read(&record);
    bytes = seal_append(&key, "kpio artifact entry 1", text, whole.size + 1, sizeof text);
    (void)artifact_verify(&key, &key, &now, (struct text){text, bytes}, "", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct text whole = {(const char *)data, size};
    struct engine_identity identity = {0};
    try_manifest(whole);
    try_sealed(whole);
    (void)engine_identity_parse(whole, &identity);
    return 0;
}
