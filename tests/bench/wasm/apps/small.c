// A small module with static data, which imports nothing (user/wasmhost's instances are made and dropped around it).
static const char text[] = "static data that an instance must find in its memory";
static unsigned counter = 1;

__attribute__((export_name("sum"))) unsigned sum(unsigned from) {
    for (const char *at = text; *at != '\0'; at++) from = from * 31 + (unsigned char)*at;
    return from + counter++;
}
