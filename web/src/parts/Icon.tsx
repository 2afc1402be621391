/** The page's own drawings, one path each, on a field of 24 × 24. */

const PATHS = {
  overview: "M4 5h7v6H4zM13 5h7v9h-7zM4 13h7v6H4zM13 16h7v3h-7z",
  history: "M4 19h16M5 15l4-5 4 3 6-7",
  packs: "M5 8h12a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-6a2 2 0 0 1 2-2zM21.5 11.5v3M7 11.5v3M10.5 11.5v3M14 11.5v3",
  events: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  settings: "M5 7h8M17 7h2M5 17h2M11 17h8M15 5v4M9 15v4",
  in: "M12 4v13M6 11l6 6 6-6M5 21h14",
  out: "M12 17V4M6 10l6-6 6 6M5 21h14",
  idle: "M7 12h10",
  warn: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.4v.1",
  bad: "M8.5 3h7L21 8.5v7L15.5 21h-7L3 15.5v-7zM12 8v5M12 16v.1",
  good: "M5 12.5l4.5 4.5L19 7.5",
  info: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 11v5.5M12 7.6v.1",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  user: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20c1-4 4-5.5 7.5-5.5s6.500 1.500 7.500 5.500",
  logout: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2.500M12 19.500V22M2 12h2.500M19.500 12H22M5 5l1.700 1.700M17.300 17.300 19 19M19 5l-1.700 1.700M6.700 17.300 5 19",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500z",
  device: "M4 5h16v11H4zM9 20h6M12 16v4",
  search: "M10.500 4a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM15.500 15.500 21 21",
  plus: "M12 5v14M5 12h14",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5.500M13.500 11v5.500",
  upload: "M12 20V9M7 13l5-5 5 5M5 4h14",
  undo: "M8 5 4 9l4 4M4 9h10a5 5 0 0 1 0 10H8",
  download: "M12 4v11M7 10.500l5 5 5-5M5 20h14",
  plug: "M8 3v5M16 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4",
  balance: "M5 8h13l-3.500-3.500M19 16H6l3.500 3.500",
  clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 7v5l3.500 2",
  key: "M8 11a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM11 12l8-8M16 7l3 3",
  eye: "M2.500 12s3.500-6.500 9.500-6.500S21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  thermometer: "M10 13.500V5a2 2 0 1 1 4 0v8.500a4.500 4.500 0 1 1-4 0z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = "1.25em" }: { name: IconName; size?: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
