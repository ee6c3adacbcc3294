/* idmap.c - open addressing with linear probing; removal shifts back what follows. */
#include "index/idmap.h"

#include "base/alloc.h"

struct kn_idmap_slot {
    uint64_t id;
    size_t position; /* + 1; 0: empty */
};

/* The finalizer of MurmurHash3 (Appleby, public domain): every bit of id reaches every other. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static size_t slot_of(const kn_idmap *m, uint64_t id)
{
    size_t i = mix(id) & (m->cap - 1);
    while (m->slots[i].position && m->slots[i].id != id)
        i = (i + 1) & (m->cap - 1);
    return i;
}

void kn_idmap_release(kn_idmap *m)
{
    kn_free(m->slots);
    *m = (kn_idmap){ 0 };
}

ken_status kn_idmap_reserve(kn_idmap *m, size_t more)
{
    kn_idmap big = { .cap = m->cap ? m->cap : 16 };
    if (more > SIZE_MAX / 4 - m->len)
        more = SIZE_MAX / 4 - m->len;
    while (big.cap / 2 < m->len + more)
        big.cap *= 2;
    if (big.cap == m->cap)
        return KEN_OK;
    big.slots = kn_zalloc(big.cap, sizeof *big.slots);
    if (!big.slots)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].position)
            big.slots[slot_of(&big, m->slots[i].id)] = m->slots[i];
    kn_free(m->slots);
    m->slots = big.slots;
    m->cap = big.cap;
    return KEN_OK;
}

void kn_idmap_put(kn_idmap *m, uint64_t id, size_t position)
{
    struct kn_idmap_slot *s = &m->slots[slot_of(m, id)];
    m->len += !s->position;
    s->id = id;
    s->position = position + 1;
}

int kn_idmap_get(const kn_idmap *m, uint64_t id, size_t *position)
{
    const struct kn_idmap_slot *s = m->cap ? &m->slots[slot_of(m, id)] : NULL;
    if (!s || !s->position)
        return 0;
    *position = s->position - 1;
    return 1;
}

void kn_idmap_remove(kn_idmap *m, uint64_t id)
{
    const size_t mask = m->cap - 1;
    size_t hole = m->cap ? slot_of(m, id) : 0;
    if (!m->cap || !m->slots[hole].position)
        return;
    for (size_t i = hole;;) {
        i = (i + 1) & mask;
        if (!m->slots[i].position)
            break;
        const size_t home = mix(m->slots[i].id) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* it may lie at the hole */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].position = 0;
    m->len--;
}
