#include "kernel/object/aspace_object.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"

_Static_assert(sizeof(struct handle) <= sizeof(((struct mapping *)0)->glue), "a mapping has room for its handle");

static struct handle *node_of(struct mapping *m) { return (struct handle *)m->glue; }
static struct mapping *mapping_of(struct handle *node) {
    return (struct mapping *)((char *)node - offsetof(struct mapping, glue));
}

// ---- the object ------------------------------------------------------------------------------------------------------

static void aspace_object_destroy(struct object *o) { aspace_put(aspace_of(o)); }

static const struct object_ops aspace_ops = {
    .name = "aspace",
    .rights = KPIO_RIGHT_MAP | KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_EXPIRE,
    .destroy = aspace_object_destroy,
};

int aspace_object_create(struct job *job, struct aspace *a, struct object **out) {
    struct aspace_object *o = kzalloc(sizeof(*o));
    if (!o) return -ENOMEM;
    int error = object_init(&o->object, KPIO_KIND_ASPACE, &aspace_ops, job, sizeof(*o));
    if (error) {
        kfree(o);
        return error;
    }
    aspace_get(a);
    o->aspace = a;
    *out = &o->object;
    return 0;
}

// ---- mappings in derivation trees --------------------------------------------------------------------------------------

int mapping_tie(struct mapping *m, struct handle *handle) {
    return handle_mapping_link(node_of(m), handle);
}

int mapping_tie_sibling(struct mapping *m, struct mapping *of) {
    return handle_mapping_link_sibling(node_of(m), node_of(of));
}

void mapping_untie(struct mapping *m) { handle_mapping_unlink(node_of(m)); }

void aspace_mapping_pin(struct handle *node) { mapping_pin(mapping_of(node)); }
void aspace_mapping_revoked(struct handle *node) { mapping_revoked(mapping_of(node)); }
