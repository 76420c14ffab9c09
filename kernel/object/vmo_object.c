#include "kernel/object/vmo_object.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"

static void vmo_object_destroy(struct object *o) { vmo_put(vmo_of(o)); }

static const struct object_ops vmo_ops = {
    .name = "vmo",
    .rights = VMO_RIGHTS_DATA | KPIO_RIGHT_EXECUTE,
    .destroy = vmo_object_destroy,
};

int vmo_object_create(struct job *job, struct vmo *vmo, struct object **out) {
    struct vmo_object *v = kzalloc(sizeof(*v));
    if (!v) return -ENOMEM;
    int error = object_init(&v->object, KPIO_KIND_VMO, &vmo_ops, job, sizeof(*v));
    if (error) {
        kfree(v);
        return error;
    }
    vmo_get(vmo);
    v->vmo = vmo;
    if (vmo->id == 0) vmo->id = v->object.id;
    *out = &v->object;
    return 0;
}
