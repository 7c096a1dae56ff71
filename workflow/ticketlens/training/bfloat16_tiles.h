/* AMX: tiles of 16 rows of 64 bytes. Registers 0 to 3 hold sums of 2 x 2 tiles, 4 and 5 the rows,
 * 6 and 7 the columns of a product.
 *
 * The compiler knows nothing of tiles: `barrier` stands between what C writes and tiles load.
 */
#ifndef BFLOAT16_TILES_H
#define BFLOAT16_TILES_H
#include "bfloat16_lanes.h"
#include "bfloat16_pairs.h"

enum { TILE = 16 * 64 };

/* Tests define tiles in C, for CPUs that have none. */
#if !defined(tile_load)
#define tile_load(number, from, stride)                                             \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #number                           \
                     :: "r"(from), "r"((int64_t)(stride)))
#define tile_store(number, to, stride)                                              \
    __asm__ volatile("tilestored %%tmm" #number ", (%0,%1,1)"                       \
                     :: "r"(to), "r"((int64_t)(stride)) : "memory")
#define tile_zero(number) __asm__ volatile("tilezero %%tmm" #number ::)
/* Sums += rows x columns. */
#define tile_product(sums, rows, columns)                                           \
    __asm__ volatile("tdpbf16ps %%tmm" #columns ", %%tmm" #rows ", %%tmm" #sums ::)

INLINE void tiles_on(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t width[16];
        uint8_t rows[16];
    } layout = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) layout.width[tile] = 64, layout.rows[tile] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(layout) : "memory");
}
INLINE void tiles_off(void) { __asm__ volatile("tilerelease" ::: "memory"); }
#endif
#define barrier() __asm__ volatile("" ::: "memory")

/* Load, or store, the sums of 32 rows and 32 columns, a row of 128 bytes. */
INLINE void sums_zero(void)
{
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
}
INLINE void sums_load(const float *from)
{
    tile_load(0, from, 128);
    tile_load(1, from + 16, 128);
    tile_load(2, from + 16 * 32, 128);
    tile_load(3, from + 16 * 32 + 16, 128);
}
INLINE void sums_store(float *to)
{
    tile_store(0, to, 128);
    tile_store(1, to + 16, 128);
    tile_store(2, to + 16 * 32, 128);
    tile_store(3, to + 16 * 32 + 16, 128);
}
/* Store the sums and load others. */
INLINE void sums_exchange(float *to, const float *from)
{
    tile_store(0, to, 128);
    tile_load(0, from, 128);
    tile_store(2, to + 16 * 32, 128);
    tile_load(2, from + 16 * 32, 128);
    tile_store(1, to + 16, 128);
    tile_load(1, from + 16, 128);
    tile_store(3, to + 16 * 32 + 16, 128);
    tile_load(3, from + 16 * 32 + 16, 128);
}
/* One step of 32 x 32 sums over 32 numbers; `columns` holds two tiles. */
INLINE void sums_step(const void *upper, const void *lower, ptrdiff_t stride, const void *left,
                      const void *right)
{
    tile_load(6, left, 64);
    tile_load(4, upper, stride);
    tile_product(0, 4, 6);
    tile_load(5, lower, stride);
    tile_product(2, 5, 6);
    tile_load(7, right, 64);
    tile_product(1, 4, 7);
    tile_product(3, 5, 7);
}
#endif
