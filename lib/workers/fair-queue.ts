/**
 * A queue that serves its tenants in turn: one with a thousand waiting items delays another tenant's first item by
 * one item only. All operations take constant time, except `remove`,
 * which is for cancelled items, and `shift` when tenants are passed over.
 */
export class FairQueue<Item> {
  readonly #byTenant = new Map<string, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(tenant: string): number {
    return this.#byTenant.get(tenant)?.length ?? 0;
  }

  /** Whether a tenant with waiting items fulfils the condition. */
  someTenant(condition: (tenant: string) => boolean): boolean {
    for (const tenant of this.#byTenant.keys()) if (condition(tenant)) return true;
    return false;
  }

  push(tenant: string, item: Item): void {
    const items = this.#byTenant.get(tenant);
    if (items === undefined) this.#byTenant.set(tenant, [item]);
    else items.push(item);
    this.#size++;
  }

  /** Takes the oldest item of the tenant whose turn it is; tenants that may not be served keep their places. */
  shift(mayServe: (tenant: string) => boolean = () => true): Item | undefined {
    // A Map iterates in order of insertion: the served tenant is put back at the end.
    for (const [tenant, items] of this.#byTenant) {
      if (!mayServe(tenant)) continue;
      const item = items.shift()!;
      this.#byTenant.delete(tenant);
      if (items.length > 0) this.#byTenant.set(tenant, items);
      this.#size--;
      return item;
    }
    return undefined;
  }

  /** Takes out an item that isn't wanted any more. @returns whether it was there */
  remove(tenant: string, item: Item): boolean {
    const items = this.#byTenant.get(tenant);
    const index = items?.indexOf(item) ?? -1;
    if (items === undefined || index < 0) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#byTenant.delete(tenant);
    this.#size--;
    return true;
  }
}
