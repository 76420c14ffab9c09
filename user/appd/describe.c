#include "user/appd/describe.h"

#include "lib/fmt.h"

const char *describe_state(const struct app_version *v) {
    return !app_is_compiled(&v->record) ? "not compiled before" : cache_state_text(v->artifact);
}

#define SAY(...) (used += used < size ? fmt_print(text + used, size - used, __VA_ARGS__) : 0)

size_t describe_app(const struct app_version *v, char *text, size_t size) {
    const struct app_manifest *m = &v->record.manifest;
    const struct app_grants *g = &v->record.grants;
    char module[DIGEST_HEX];
    size_t used = 0;
    digest_to_hex(&v->record.module, module);
    SAY("name:        %s\nversion:     %s\nmode:        %s\n", m->name, m->version, app_mode_name(m->mode));
    SAY("module:      %s\nartifact:    %s\n", module, describe_state(v));
    SAY("memory:      %lu bytes\n", (unsigned long)app_memory(&v->record));
    if (app_time(&v->record) != 0) SAY("time:        %lu ms\n", (unsigned long)(app_time(&v->record) / 1000000));
    if (m->cpu_time != 0) SAY("CPU time:    %lu ms\n", (unsigned long)(m->cpu_time / 1000000));
    if (m->files != 0) SAY("open files:  %lu\n", (unsigned long)m->files);
    if (m->mode == APP_JIT) SAY("code:        %s\n", g->jit ? "granted" : "asked for, not granted");
    if (m->environment) SAY("environment: %s\n", g->environment ? "granted" : "asked for, not granted");
    for (uint32_t i = 0; i < m->directory_count; i++) {
        const char *path = g->directories[i], *access = g->writes[i] ? ", read and write" : ", read";
        const bool granted = *path != 0;
        SAY("directory:   %s: %s%s\n", m->directories[i].guest, granted ? path : "asked for, not granted", granted ? access : "");
    }
    return used < size ? used : size - 1;
}
