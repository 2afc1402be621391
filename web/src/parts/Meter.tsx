/** A bar that is filled by a share, such as the state of charge. */

interface Props {
  value: number | null; // 0 to 100
  label: string;
  text: string; // what a screen reader says
  tone?: string;
  class?: string;
}

export function Meter({ value, label, text, tone = "", class: more = "" }: Props) {
  const share = value === null ? 0 : Math.max(0, Math.min(100, value));
  return (
    <div class={`meter ${tone} ${more}`} role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={share} aria-valuetext={text}>
      <div class="meter-fill" style={{ width: share + "%" }} />
    </div>
  );
}
