/** The part of npm's `imgmanifest` that we use: Triton's own validators. */
declare module 'imgmanifest' {
  type Complaint = { field: string; code: string; message?: string }
  type Validate = (manifest: object) => Complaint[] | null
  const imgmanifest: {
    validateMinimalManifest: Validate
    validateDcManifest: Validate
    validatePublicManifest: Validate
  }
  export default imgmanifest
}
