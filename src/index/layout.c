/*
 * layout.c
 *	  Where vectors lie on the pages of a list: reading and writing of slots
 *	  and records in page images.  No buffers, no locks, no WAL.
 */
#include "postgres.h"

#include <math.h>

#include "index/index_int.h"

#define SCAN_SPACE (BLCKSZ - MAXALIGN(sizeof(MemaiOpaque)) - MEMAI_SCAN_DATA)
#define REFINE_SPACE (BLCKSZ - MAXALIGN(sizeof(MemaiOpaque)) - MEMAI_REFINE_DATA)

static int
set_block(MemaiLayout *layout, int width)
{
	int			blocks;

	layout->width = width;
	layout->add_offset = layout->code_bytes * width;
	layout->factor_offset = layout->add_offset + (int) sizeof(float) * width;
	layout->error_offset = layout->factor_offset + (int) sizeof(float) * width;
	layout->hash_offset = layout->error_offset + (int) sizeof(float) * width;
	layout->tid_offset = layout->hash_offset +
		(layout->keyed ? (int) sizeof(uint64) * width : 0);
	layout->block_bytes = MAXALIGN(layout->tid_offset + (int) sizeof(ItemPointerData) * width);
	blocks = SCAN_SPACE / layout->block_bytes;
	/* kernels read whole cache lines: blocks begin with one where there is room */
	if (blocks > 0)
	{
		int			spare = (SCAN_SPACE - blocks * layout->block_bytes) / blocks;
		int			aligned = (int) TYPEALIGN(MEMAI_CACHE_LINE, layout->block_bytes);

		if (aligned - layout->block_bytes <= spare)
			layout->block_bytes = aligned;
	}
	return blocks;
}

/*
 * The number of vectors of a scan page is the one that wastes least of it and
 * of its refine pages together.
 */
void
memai_layout_init(MemaiLayout *layout, int dim, int refine_bits, bool keyed)
{
	int			blocks;
	double		best = 1e9;

	memset(layout, 0, sizeof(*layout));
	layout->padded = (int) TYPEALIGN(64, dim);
	layout->code_bytes = layout->padded / 8;
	layout->keyed = keyed;
	layout->refine_bits = refine_bits;
	blocks = set_block(layout, MEMAI_BLOCK_WIDTH);
	if (blocks == 0)
		blocks = set_block(layout, MEMAI_BLOCK_WIDTH / 2);
	Assert(blocks > 0);

	if (refine_bits == 0)
	{
		layout->capacity = blocks * layout->width;
		return;
	}
	layout->record_bytes = (int) sizeof(MemaiRefineRecord) + layout->padded * refine_bits / 8;
	layout->records = REFINE_SPACE / layout->record_bytes;
	Assert(layout->records > 0);
	for (int n = 1; n <= blocks * layout->width; n++)
	{
		int			pages = (n + layout->records - 1) / layout->records;

		if (pages <= MEMAI_MAX_REFINE_PAGES && (1.0 + pages) / n <= best)
		{
			best = (1.0 + pages) / n;
			layout->capacity = n;
			layout->refine_pages = pages;
		}
	}
}

static void
write_floats(const MemaiLayout *layout, Page page, int slot, float add, float factor, float error)
{
	*memai_slot_floats(layout, page, slot, layout->add_offset) = add;
	*memai_slot_floats(layout, page, slot, layout->factor_offset) = factor;
	*memai_slot_floats(layout, page, slot, layout->error_offset) = error;
}

void
memai_slot_write(const MemaiLayout *layout, Page page, int slot, const MemaiEntry *entry)
{
	uint8	   *codes = (uint8 *) memai_block(layout, page, slot) + slot % layout->width;

	for (int i = 0; i < layout->code_bytes; i++)
	{
		const uint8 *u = entry->code.u + 8 * i;
		uint8		byte = 0;

		for (int bit = 0; bit < 8; bit++)
			byte |= (uint8) ((u[bit] >> 7) << bit);
		codes[i * layout->width] = byte;
	}
	write_floats(layout, page, slot, entry->code.add, entry->code.factor, entry->code.error);
	if (layout->keyed)
		*memai_slot_hash(layout, page, slot) = entry->hash;
	*memai_slot_tid(layout, page, slot) = entry->tid;
}

void
memai_slot_kill(const MemaiLayout *layout, Page page, int slot)
{
	write_floats(layout, page, slot, INFINITY, 0, 0);
	ItemPointerSetInvalid(memai_slot_tid(layout, page, slot));
}

static MemaiRefineRecord *
record_of(const MemaiLayout *layout, Page page, int record)
{
	return (MemaiRefineRecord *) ((char *) page + MEMAI_REFINE_DATA + record * layout->record_bytes);
}

void
memai_record_write(const MemaiLayout *layout, Page page, int record, const MemaiEntry *entry)
{
	MemaiRefineRecord *r = record_of(layout, page, record);
	uint8	   *code = (uint8 *) (r + 1);

	r->add = entry->code.add;
	if (layout->refine_bits == 8)
	{
		r->scale = entry->code.scale;
		memcpy(code, entry->code.u, layout->padded);
		return;
	}
	/* u = 16 * u4 + 7.5 on average */
	r->scale = entry->code.scale * 16;
	for (int i = 0; i < layout->padded / 2; i++)
		code[i] = (uint8) ((entry->code.u[2 * i] >> 4) | (entry->code.u[2 * i + 1] & 0xf0));
}

const uint8 *
memai_record_code(const MemaiLayout *layout, const MemaiRefineRecord *record, uint8 *buffer, float *scale)
{
	const uint8 *code = (const uint8 *) (record + 1);

	if (layout->refine_bits == 8)
	{
		*scale = record->scale;
		return code;
	}
	*scale = record->scale / 16;
	for (int i = 0; i < layout->padded / 2; i++)
	{
		buffer[2 * i] = (uint8) ((code[i] & 15) * 16 + 8);
		buffer[2 * i + 1] = (uint8) ((code[i] & 0xf0) + 8);
	}
	return buffer;
}

/* with signs only, every element gets the mean size that factor and error imply */
static void
code_from_signs(const MemaiLayout *layout, Page page, int slot, MemaiCode *code)
{
	const uint8 *codes = (const uint8 *) memai_block(layout, page, slot) + slot % layout->width;
	float		ratio = code->factor > 0 ? code->error / code->factor : 0;

	code->scale = code->factor * (1 - ratio * ratio) / 64.5f;
	for (int i = 0; i < layout->padded; i++)
	{
		bool		positive = (codes[(i / 8) * layout->width] >> (i % 8)) & 1;

		code->u[i] = positive ? 192 : 63;
	}
}

void
memai_slot_read(const MemaiLayout *layout, Page page, int slot, Page refine, MemaiEntry *entry)
{
	const MemaiRefineRecord *record;
	const uint8 *code;

	entry->tid = *memai_slot_tid(layout, page, slot);
	entry->hash = layout->keyed ? *memai_slot_hash(layout, page, slot) : 0;
	entry->unused = 0;
	entry->code.add = *memai_slot_floats(layout, page, slot, layout->add_offset);
	entry->code.factor = *memai_slot_floats(layout, page, slot, layout->factor_offset);
	entry->code.error = *memai_slot_floats(layout, page, slot, layout->error_offset);
	if (refine == NULL)
	{
		code_from_signs(layout, page, slot, &entry->code);
		return;
	}
	record = record_of(layout, refine, slot % layout->records);
	code = memai_record_code(layout, record, entry->code.u, &entry->code.scale);
	if (code != entry->code.u)
		memcpy(entry->code.u, code, layout->padded);
}
